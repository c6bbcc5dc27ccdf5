"""A service that takes an order, says so, and asks the warehouse because of it."""

import os

import httpx
from fastapi import FastAPI

import whence

app = FastAPI()


@app.post("/orders/{item}")
def place(item: str) -> dict[str, object]:
    accepted = whence.log("order.accepted", {"item": item})
    with whence.because(accepted), whence.correlation(f"order of {item}"):
        answer = httpx.post(f"{os.environ['WAREHOUSE_URL']}/reserve/{item}").json()
    packed = whence.log("order.packed", caused_by=answer["reserved"])
    return {"accepted": str(accepted), "packed": str(packed), **answer}
