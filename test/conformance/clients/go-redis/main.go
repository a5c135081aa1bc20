// The scenario by go-redis, with the settings that the README names: a target comes as JSON on standard input, the report
// goes as JSON to standard output.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

type target struct {
	Host, ServerName, Ca, Cert, Key, User, Password, Prefix string
	Port                                                    int
}

type report struct {
	Get                      *string  `json:"get"`
	Missing                  *string  `json:"missing"`
	Pipeline                 []int64  `json:"pipeline"`
	Mget                     []any    `json:"mget"`
	Eval                     []any    `json:"eval"`
	Blpop                    *string  `json:"blpop"`
	BlpopEmpty               *string  `json:"blpopEmpty"`
	Binary                   string   `json:"binary"`
	Messages                 []string `json:"messages"`
	Error                    string   `json:"error"`
	Refused                  string   `json:"refused"`
	WrongPassword            string   `json:"wrongPassword"`
	ServedWithoutCertificate bool     `json:"servedWithoutCertificate"`
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func (t target) key(name string) string   { return t.Prefix + ":" + name }
func (t target) short(name string) string { return strings.TrimPrefix(name, t.key("")) }

func (t target) connect(password string, withCertificate bool) *redis.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(must(os.ReadFile(t.Ca)))
	config := &tls.Config{RootCAs: pool, ServerName: t.ServerName}
	if withCertificate {
		config.Certificates = []tls.Certificate{must(tls.LoadX509KeyPair(t.Cert, t.Key))}
	}
	return redis.NewClient(&redis.Options{
		Addr: fmt.Sprintf("%s:%d", t.Host, t.Port), Username: t.User, Password: password, TLSConfig: config, MaxRetries: -1,
	})
}

// The value of a reply that may be nil.
func nilable(value string, err error) *string {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	value = must(value, err)
	return &value
}

func failure(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// What BLPOP popped.
func popped(ctx context.Context, client *redis.Client, limit time.Duration, key string) *string {
	pair, err := client.BLPop(ctx, limit, key).Result()
	if err != nil {
		return nilable("", err)
	}
	return &pair[1]
}

func (t target) messages(ctx context.Context, client *redis.Client) []string {
	subscriber := client.Subscribe(ctx, t.key("a"), t.key("b"))
	defer subscriber.Close()
	heard := []string{}
	confirmed := func(number int) {
		for range number {
			must(subscriber.Receive(ctx))
		}
	}
	hear := func(number int) {
		for len(heard) < number {
			message := must(subscriber.ReceiveMessage(ctx))
			heard = append(heard, t.short(message.Channel)+" "+message.Payload)
		}
	}
	confirmed(2)
	must(client.Publish(ctx, t.key("a"), "1").Result())
	must(client.Publish(ctx, t.key("b"), "2").Result())
	hear(2)
	if err := subscriber.Unsubscribe(ctx, t.key("a")); err != nil {
		log.Fatal(err)
	}
	confirmed(1)
	must(client.Publish(ctx, t.key("a"), "3").Result())
	must(client.Publish(ctx, t.key("b"), "4").Result())
	hear(3)
	return heard
}

func main() {
	var t target
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := t.connect(t.Password, true)

	must(client.Set(ctx, t.key("greeting"), "hello", 0).Result())
	pipeline := client.Pipeline()
	for range 100 {
		pipeline.Incr(ctx, t.key("counter"))
	}
	counted := []int64{}
	for _, command := range must(pipeline.Exec(ctx)) {
		counted = append(counted, command.(*redis.IntCmd).Val())
	}
	names := []string{}
	for i := range 10 {
		names = append(names, t.key(fmt.Sprintf("m%d", i)))
		if i%2 == 0 {
			must(client.Set(ctx, names[i], i, 0).Result())
		}
	}
	evaluated := must(client.Eval(ctx, "return {KEYS[1], ARGV[1], 7}", []string{t.key("k")}, "v").Slice())
	evaluated[0] = t.short(evaluated[0].(string))

	time.AfterFunc(200*time.Millisecond, func() { client.LPush(ctx, t.key("list"), "x") })

	bytes := make([]byte, 256)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	binaryKey := t.key("") + string(bytes)
	must(client.Set(ctx, binaryKey, bytes, 0).Result())

	must(0, json.NewEncoder(os.Stdout).Encode(report{
		Get:                      nilable(client.Get(ctx, t.key("greeting")).Result()),
		Missing:                  nilable(client.Get(ctx, t.key("missing")).Result()),
		Pipeline:                 counted,
		Mget:                     must(client.MGet(ctx, names...).Result()),
		Eval:                     evaluated,
		Blpop:                    popped(ctx, client, 10*time.Second, t.key("list")),
		BlpopEmpty:               popped(ctx, client, time.Second, t.key("empty")),
		Binary:                   hex.EncodeToString(must(client.Get(ctx, binaryKey).Bytes())),
		Messages:                 t.messages(ctx, client),
		Error:                    failure(client.LPush(ctx, t.key("greeting"), "x").Err()),
		Refused:                  failure(client.Info(ctx).Err()),
		WrongPassword:            failure(t.connect("wrong", true).Ping(ctx).Err()),
		ServedWithoutCertificate: t.connect(t.Password, false).Ping(ctx).Err() == nil,
	}))
}
