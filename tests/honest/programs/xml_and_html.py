# flags:
# prints: 7
# prints: <shop><item price="3">tea</item><item price="4">cake</item><item price="5">jam &amp; bread</item></shop>
# prints: b
# prints: /one
# prints: /two
import html.parser
import xml.dom.minidom
import xml.etree.ElementTree as tree

root = tree.fromstring("<shop><item price='3'>tea</item><item price='4'>cake</item></shop>")
print(sum(int(item.get("price")) for item in root.iter("item")))
tree.SubElement(root, "item", price="5").text = "jam & bread"
print(tree.tostring(root, encoding="unicode"))
print(xml.dom.minidom.parseString("<a><b/></a>").documentElement.firstChild.tagName)


class Links(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs):
        if tag == "a":
            print(dict(attrs)["href"])


Links().feed("<p><a href='/one'>1</a><a href='/two'>2</a>")
