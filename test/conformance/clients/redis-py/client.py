"""The scenario by redis-py, with the settings that the README names: a target comes as JSON on standard input, the report
goes as JSON to standard output."""

import json
import sys
import threading

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

target = json.load(sys.stdin)
all_bytes = bytes(range(256))


def connect(**options):
    return redis.Redis(
        **{
            "host": target["host"],
            "port": target["port"],
            "username": target["user"],
            "password": target["password"],
            "ssl": True,
            "ssl_ca_certs": target["ca"],
            "ssl_certfile": target["cert"],
            "ssl_keyfile": target["key"],
            "protocol": 2,
            "decode_responses": True,
            # A refused login is tried again for seconds otherwise.
            "retry": Retry(NoBackoff(), 0),
            **options,
        }
    )


def key(name):
    return f"{target['prefix']}:{name}"


def short(name):
    return name[len(key("")) :]


def failure(action):
    try:
        action()
    except redis.RedisError as error:
        # redis-py takes the generic ERR off.
        return str(error)
    return "no error"


def messages_of(client):
    subscriber = client.pubsub()
    heard = []

    def hear(number):
        while len(heard) < number:
            message = subscriber.get_message(ignore_subscribe_messages=True, timeout=10)
            if message is not None:
                heard.append(f"{short(message['channel'])} {message['data']}")

    def confirmed(number):
        for _ in range(number):
            assert subscriber.get_message(timeout=10)["type"] in ("subscribe", "unsubscribe")

    subscriber.subscribe(key("a"), key("b"))
    confirmed(2)
    client.publish(key("a"), "1")
    client.publish(key("b"), "2")
    hear(2)
    subscriber.unsubscribe(key("a"))
    confirmed(1)
    client.publish(key("a"), "3")
    client.publish(key("b"), "4")
    hear(3)
    subscriber.close()
    return heard


def served(client):
    try:
        return client.ping()
    except redis.RedisError:
        return False


def run():
    client = connect()
    client.set(key("greeting"), "hello")
    pipeline = client.pipeline(transaction=False)
    for _ in range(100):
        pipeline.incr(key("counter"))
    counted = pipeline.execute()
    for i in range(0, 10, 2):
        client.set(key(f"m{i}"), i)
    name, value, seven = client.eval("return {KEYS[1], ARGV[1], 7}", 1, key("k"), "v")

    threading.Timer(0.2, lambda: client.lpush(key("list"), "x")).start()
    popped = client.blpop(key("list"), 10)
    empty = client.blpop(key("empty"), 1)

    raw = connect(decode_responses=False)
    binary_key = key("").encode() + all_bytes
    raw.set(binary_key, all_bytes)

    return {
        "get": client.get(key("greeting")),
        "missing": client.get(key("missing")),
        "pipeline": counted,
        "mget": client.mget([key(f"m{i}") for i in range(10)]),
        "eval": [short(name), value, seven],
        "blpop": popped and popped[1],
        "blpopEmpty": empty and empty[1],
        "binary": raw.get(binary_key).hex(),
        "messages": messages_of(client),
        "error": failure(lambda: client.lpush(key("greeting"), "x")),
        "refused": failure(client.info),
        "wrongPassword": failure(connect(password="wrong").ping),
        "servedWithoutCertificate": served(connect(ssl_certfile=None, ssl_keyfile=None)),
    }


json.dump(run(), sys.stdout)
