# needs: sklearn
# flags: --import scikit-learn --memory 2GiB --threads 64
# denials: some
# prints: True
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

x, y = load_iris(return_X_y=True)
a, b, c, d = train_test_split(x, y, random_state=0)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(a, c)
print(model.score(b, d) > 0.9)
