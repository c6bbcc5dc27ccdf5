"""Customers of the shop: five orders, one of which cannot be met. See shop.py for how to run it."""

import os
import sys

import httpx

SHOP = os.environ.get("SHOP_URL", "http://127.0.0.1:8010")
BASKETS = [("chair", 4), ("lamp", 10), ("table", 1), ("lamp", 5), ("chair", 6)]


def main():
    refused = 0
    with httpx.Client(base_url=SHOP) as client:
        for item, quantity in BASKETS:
            answer = client.post("/orders", json={"item": item, "quantity": quantity})
            print(f"{quantity} x {item}: {answer.status_code} {answer.json()}")
            refused += answer.status_code != 200
        print(client.get("/orders").json())
    return 0 if refused == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
