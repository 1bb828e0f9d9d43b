"""A FastAPI route that does nothing: what FastAPI by itself costs."""

from fastapi import FastAPI

app = FastAPI()


@app.post("/predict")
async def predict() -> dict[str, str]:
    return {"prediction": "setosa"}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
