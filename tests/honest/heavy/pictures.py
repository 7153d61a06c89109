# needs: PIL
# flags: --import pillow --read {out} --write {out}
# args: {out}
# prints: (32, 24) JPEG
import sys

from PIL import Image, ImageDraw, ImageFilter

path = f"{sys.argv[1]}/picture"
image = Image.new("RGB", (64, 48), "white")
ImageDraw.Draw(image).ellipse((8, 8, 40, 40), fill="red")
image.filter(ImageFilter.GaussianBlur(2)).resize((32, 24)).save(f"{path}.png")
image.save(f"{path}.jpg", quality=80)
print(Image.open(f"{path}.png").size, Image.open(f"{path}.jpg").format)
