"""A shop that takes orders: FastAPI, SQLite and HTTP calls to the stock service. It knows nothing of whence.

    pip install 'whence[instrument]' fastapi uvicorn httpx
    pip install opentelemetry-instrumentation-fastapi opentelemetry-instrumentation-sqlite3 opentelemetry-instrumentation-httpx
    cd examples/shop
    export WHENCE_ARCHIVE=/tmp/shop-archive
    OTEL_SERVICE_NAME=stock whence run --run stock -- uvicorn stock:app --port 8011 &
    OTEL_SERVICE_NAME=shop  whence run --run shop  -- uvicorn shop:app  --port 8010 &
    whence run --run customers -- python customers.py
    kill -INT %1 %2

Three programs, three runs, one archive, and traces that go through all of them. Then ask:

    whence runs
    whence log --run shop --severity warn         # the refused order, by the shop's own log line
    whence why ID                                 # from that line back through the services to the customer
    whence effects ID                             # of a customer's span: every query it set off, in both databases
"""

import logging
import os
import sqlite3
from contextlib import asynccontextmanager, closing

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

STOCK = os.environ.get("STOCK_URL", "http://127.0.0.1:8011")
DATABASE = os.environ.get("SHOP_DATABASE", "file:shop?mode=memory&cache=shared")

logger = logging.getLogger("shop")


class Order(BaseModel):
    item: str
    quantity: int


@asynccontextmanager
async def lifespan(app):
    logging.basicConfig(level=logging.INFO)
    with closing(sqlite3.connect(DATABASE, uri=True)) as kept_open:
        kept_open.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT, quantity INTEGER)")
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders")
def place(order: Order):
    answer = httpx.post(f"{STOCK}/reservations", json=order.model_dump())
    if answer.status_code != 200:
        logger.warning("refused %d x %s: %s", order.quantity, order.item, answer.json()["detail"])
        raise HTTPException(409, f"{order.item} cannot be had")
    with closing(sqlite3.connect(DATABASE, uri=True)) as database, database:
        cursor = database.cursor()
        cursor.execute("INSERT INTO orders (item, quantity) VALUES (?, ?)", (order.item, order.quantity))
        logger.info("order %d: %d x %s", cursor.lastrowid, order.quantity, order.item)
        return {"order": cursor.lastrowid}


@app.get("/orders")
def orders():
    with closing(sqlite3.connect(DATABASE, uri=True)) as database:
        cursor = database.cursor()
        return cursor.execute("SELECT item, SUM(quantity) FROM orders GROUP BY item").fetchall()
