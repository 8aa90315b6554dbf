"""Write the messages of the template "voice of the customer": made up, labelled, the same each time."""

from __future__ import annotations

import csv
import datetime as dt
import random
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "workbench" / "samples" / "voice_of_the_customer.csv"
COUNT = 2000
START = dt.datetime(2024, 1, 1, 7, tzinfo=dt.UTC)

PRODUCTS = [
    "kettle",
    "desk lamp",
    "backpack",
    "coffee grinder",
    "bike light",
    "rain jacket",
    "headphones",
    "toaster",
]
CHANNELS = ["mail", "chat", "phone", "review"]
PLACES = ["Ulm", "Bonn", "Kiel", "Graz", "Bern", "Linz", "Mainz", "Basel"]
DAYS = ["Monday", "Tuesday", "last week", "ten days ago", "two weeks ago", "yesterday", "this morning"]

# What a message is about, with what is said when it goes wrong, is asked, or goes well.
TOPICS: dict[str, dict[str, list[str]]] = {
    "delivery": {
        "negative": [
            "my {product} has still not arrived, I ordered it {day}",
            "the courier left the {product} in the rain and nobody rang the bell",
            "the tracking page has shown the same depot in {place} since {day}",
            "the parcel with the {product} came late and the box was torn open",
            "I was told delivery in two days, now it is said to take two more weeks",
        ],
        "neutral": [
            "can you tell me when the {product} will be sent to {place}?",
            "is it possible to have the {product} delivered to my office instead?",
            "which courier brings parcels to {place}?",
            "I would like to change the delivery address of the {product} I ordered {day}",
        ],
        "positive": [
            "the {product} was here a day early, well wrapped and complete",
            "ordered {day}, delivered to {place} the next morning, that was quick",
            "the driver called ahead and carried the {product} up four floors, many thanks",
        ],
    },
    "billing": {
        "negative": [
            "I was charged twice for the same {product} and nobody pays it back",
            "the invoice for the {product} shows a price I never agreed to",
            "you promised a refund {day} and there is still nothing on my account",
            "the voucher was taken but the discount was not",
        ],
        "neutral": [
            "I need an invoice for the {product} with the address of my company",
            "do you accept payment by bank transfer?",
            "how long is the voucher from {day} valid?",
            "where do I find the receipt for the {product}?",
        ],
        "positive": [
            "the refund for the {product} was back on my card within a day",
            "you noticed the double payment before I did and returned it at once",
            "the price was matched without any discussion, very fair",
        ],
    },
    "quality": {
        "negative": [
            "the {product} broke after three days of normal use",
            "the {product} rattles, gets hot and smells of burnt plastic",
            "the second {product} has the same fault as the first one",
            "the colour of the {product} is nothing like the picture",
            "a part is missing, so the {product} is useless to me",
        ],
        "neutral": [
            "does the {product} come with a spare part or do I order it separately?",
            "how do I clean the {product} without damaging it?",
            "is the {product} also sold in a smaller size?",
            "what is the difference between this {product} and the one of last year?",
        ],
        "positive": [
            "the {product} is better made than I hoped and works every day",
            "I bought a second {product} for my sister, that says it all",
            "after a year of use the {product} still looks like new",
        ],
    },
    "account": {
        "negative": [
            "I cannot log in since {day} and the reset mail never comes",
            "my account was closed without a word and my orders are gone",
            "your app logs me out each time I want to pay for the {product}",
        ],
        "neutral": [
            "how do I change the mail address of my account?",
            "please delete the address in {place} from my account",
            "can two people use one account?",
        ],
        "positive": [
            "the new app is clear and I found my old orders right away",
            "logging in with the code works without trouble, thank you for that",
        ],
    },
    "service": {
        "negative": [
            "I have explained the problem with the {product} to four people and got four answers",
            "forty minutes in the queue, then the line went dead",
            "the answer I got was a standard text that has nothing to do with my question",
        ],
        "neutral": [
            "until what time can I reach you by phone?",
            "is there somebody in {place} who repairs a {product}?",
            "I called {day} about the {product}, here is the number you asked for",
        ],
        "positive": [
            "your colleague on the phone solved it in two minutes and was kind",
            "I got an honest answer on a Sunday, I did not expect that",
            "the advice about the {product} was exactly right",
        ],
    },
}
OPENINGS = {
    "negative": ["", "", "sorry, but ", "once again: ", "I am disappointed, ", "honestly, ", "hello, "],
    "neutral": ["", "", "hello, ", "a short question: ", "good morning, ", "hi, "],
    "positive": ["", "", "just to say: ", "hello, ", "great, ", "a word of praise: "],
}
ENDINGS = {
    "negative": ["", "", ". Please do something", ". I want my money back", ". Never again", ". What now?"],
    "neutral": ["", "", "", ". Thank you", ". Kind regards"],
    "positive": ["", "", ". Thank you", ". Keep it up", ". I will order again"],
}
# Some say little, and whoever labelled them had to guess.
SHORT = [
    "the {product} is here",
    "got the {product}, we will see",
    "I ordered the {product} {day}",
    "the {product} is not what I expected",
    "so this is the {product} you sent me",
    "the thing with the {product} again",
    "well, the {product} is on its way now",
    "I talked to your colleague about the {product} {day}",
]
SHARE_SHORT = 0.12
# A few are of two minds, as people are.
TURNS = {
    "negative": ", although the people on the phone were kind",
    "positive": ", even if I had to wait a little",
}


def message(random_: random.Random) -> tuple[str, str, str, str]:
    """Make one message: its topic, product, sentiment and text."""
    topic = random_.choices(list(TOPICS), weights=[5, 3, 5, 2, 3])[0]
    sentiment = random_.choices(["negative", "neutral", "positive"], weights=[45, 30, 25])[0]
    product = random_.choice(PRODUCTS)
    is_short = random_.random() < SHARE_SHORT
    text = random_.choice(SHORT if is_short else TOPICS[topic][sentiment]).format(
        product=product, place=random_.choice(PLACES), day=random_.choice(DAYS)
    )
    if sentiment in TURNS and random_.random() < 0.08:
        text += TURNS[sentiment]
    # Neither how somebody begins nor how they end says for sure what they feel.
    tone = sentiment if random_.random() < 0.7 else random_.choice(list(OPENINGS))
    text = random_.choice(OPENINGS[tone]) + text
    ending = random_.choice(ENDINGS[tone])
    text = (
        text.rstrip("?") + ending
        if ending and text.endswith("?") and random_.random() < 0.5
        else text + ending
    )
    return topic, product, sentiment, text[0].upper() + text[1:]


def main() -> None:
    """Write the file."""
    random_ = random.Random(20241231)
    moment = START
    with TARGET.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "received_at", "channel", "product", "text", "sentiment"])
        for number in range(1, COUNT + 1):
            moment += dt.timedelta(minutes=random_.randint(20, 490))
            _, product, sentiment, text = message(random_)
            channel = random_.choice(CHANNELS)
            writer.writerow([number, f"{moment:%Y-%m-%d %H:%M:%S}", channel, product, text, sentiment])


if __name__ == "__main__":
    main()
