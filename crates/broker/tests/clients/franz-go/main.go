// Command broker-franz-go produces and consumes with franz-go, and checks what comes back.
//
// broker-franz-go BOOTSTRAP: 300 records of an idempotent producer in a topic for each codec, 200 committed and 100
// aborted ones in the topic "transactional", and a group "franz-go" that reads all of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	records       = 300
	committed     = 200
	aborted       = 100
	transactional = "transactional"
	// A machine that is busy may be slow; one that hangs shall end.
	patience = 60 * time.Second
)

var codecs = []struct {
	topic string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()},
	{"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: broker-franz-go BOOTSTRAP")
		os.Exit(2)
	}
	if err := run(strings.Split(os.Args[1], ",")); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(servers []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, codec := range codecs {
		client, err := newClient(servers, kgo.ProducerBatchCompression(codec.codec))
		if err != nil {
			return err
		}
		err = client.ProduceSync(ctx, batch(codec.topic, 0, records)...).FirstErr()
		client.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", codec.topic, err)
		}
	}
	if err := transactions(ctx, servers); err != nil {
		return fmt.Errorf("transactions: %w", err)
	}
	return consume(ctx, servers)
}

func newClient(servers []string, options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(options, kgo.SeedBrokers(servers...), kgo.AllowAutoTopicCreation())...)
}

// One transaction that is committed, and one that is aborted.
//
// Each by a client of its own: franz-go 1.20.7 reads its producer epoch before it gathers the records of a request, and
// where the scheduler stops it in between, records of a second transaction go out under the epoch of the first.
func transactions(ctx context.Context, servers []string) error {
	if err := transaction(ctx, servers, batch(transactional, 0, committed), kgo.TryCommit); err != nil {
		return err
	}
	return transaction(ctx, servers, batch(transactional, committed, aborted), kgo.TryAbort)
}

func transaction(ctx context.Context, servers []string, records []*kgo.Record, end kgo.TransactionEndTry) error {
	client, err := newClient(servers, kgo.TransactionalID("franz-go"))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	return client.EndTransaction(ctx, end)
}

// A group reads everything that is committed, and commits how far it came.
func consume(ctx context.Context, servers []string) error {
	topics := []string{transactional}
	for _, codec := range codecs {
		topics = append(topics, codec.topic)
	}
	client, err := newClient(servers,
		kgo.ConsumerGroup("franz-go"),
		kgo.ConsumeTopics(topics...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit())
	if err != nil {
		return err
	}
	defer client.Close()
	expected := len(codecs)*records + committed
	found := make(map[string]int)
	for len(found) < expected {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d records of %d were read: %w", len(found), expected, err)
		}
		for _, record := range fetches.Records() {
			if err := check(record); err != nil {
				return err
			}
			place := record.Topic + " " + string(record.Key)
			found[place]++
			if found[place] > 1 {
				return errors.New("twice: " + place)
			}
		}
	}
	if err := client.CommitUncommittedOffsets(ctx); err != nil {
		return err
	}
	fmt.Println(len(found), "records")
	return nil
}

func check(record *kgo.Record) error {
	number, err := strconv.Atoi(strings.TrimPrefix(string(record.Key), "key-"))
	if err != nil {
		return err
	}
	if record.Topic == transactional && number >= committed {
		return fmt.Errorf("an aborted record: %s", record.Key)
	}
	if string(record.Value) != value(record.Topic, number) {
		return fmt.Errorf("%s %d has another value: %q", record.Topic, number, record.Value)
	}
	headers := record.Headers
	if len(headers) != 1 || headers[0].Key != "number" || string(headers[0].Value) != string(record.Key) {
		return fmt.Errorf("%s %d has other headers: %v", record.Topic, number, headers)
	}
	return nil
}

func batch(topic string, from, count int) []*kgo.Record {
	made := make([]*kgo.Record, 0, count)
	for number := from; number < from+count; number++ {
		key := []byte("key-" + strconv.Itoa(number))
		made = append(made, &kgo.Record{
			Topic:   topic,
			Key:     key,
			Value:   []byte(value(topic, number)),
			Headers: []kgo.RecordHeader{{Key: "number", Value: key}},
		})
	}
	return made
}

// A value that compresses, and that knows where it belongs.
func value(topic string, number int) string {
	return strings.Repeat(fmt.Sprintf("%s %d ", topic, number), 10)
}
