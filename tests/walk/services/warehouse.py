"""A service that reserves, and says so; it knows of causes only what arrives with the request."""

import logging

from fastapi import FastAPI

import whence

app = FastAPI()


@app.post("/reserve/{item}")
def reserve(item: str) -> dict[str, object]:
    reserved = whence.log("stock.reserved", {"item": item})
    logging.getLogger("warehouse").warning("only one %s left", item)
    return {"reserved": str(reserved)}
