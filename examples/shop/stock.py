"""The stock service behind the shop: what is there, and what is set aside. See shop.py for how to run it."""

import logging
import os
import sqlite3
from contextlib import asynccontextmanager, closing

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

DATABASE = os.environ.get("STOCK_DATABASE", "file:stock?mode=memory&cache=shared")
AT_FIRST = {"lamp": 12, "chair": 40, "table": 8}

TAKE = "UPDATE stock SET remaining = remaining - ? WHERE item = ? AND remaining >= ?"

logger = logging.getLogger("stock")


class Reservation(BaseModel):
    item: str
    quantity: int


@asynccontextmanager
async def lifespan(app):
    logging.basicConfig(level=logging.INFO)
    with closing(sqlite3.connect(DATABASE, uri=True)) as kept_open:
        kept_open.execute("CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, remaining INTEGER)")
        kept_open.executemany("INSERT OR REPLACE INTO stock VALUES (?, ?)", AT_FIRST.items())
        kept_open.commit()
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
def health():
    return {"ok": True}


@app.post("/reservations")
def reserve(wanted: Reservation):
    with closing(sqlite3.connect(DATABASE, uri=True)) as database, database:
        cursor = database.cursor()
        cursor.execute(TAKE, (wanted.quantity, wanted.item, wanted.quantity))
        if cursor.rowcount:
            return {"reserved": wanted.quantity}
        found = cursor.execute("SELECT remaining FROM stock WHERE item = ?", (wanted.item,)).fetchone()
    left = found[0] if found else 0
    logger.error("out of %s: %d wanted, %d left", wanted.item, wanted.quantity, left)
    raise HTTPException(409, f"{left} left")
