import warnings

from tests.images.stack import stack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of itself while it is imported
    import mlflow.onnx
    import mlflow.pyfunc
    import mlflow.sklearn

__all__ = ["mlflow", "stack"]
