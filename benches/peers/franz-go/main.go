// Command peer-franz-go sends with franz-go, for the comparison.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// More records than this are never buffered: bytes decide, as with the others.
const recordsMax = 1 << 22

type arguments struct {
	bootstrap, topic, values, keys, compression, mode, client string
	partitions, size, keySize, batchBytes, bufferBytes        int
	threads, window, rate, count, warmup                      int
	lingerMs                                                  float64
}

func parse() arguments {
	var a arguments
	flag.StringVar(&a.bootstrap, "bootstrap", "", "where the broker is")
	flag.StringVar(&a.topic, "topic", "", "the topic, which exists")
	flag.StringVar(&a.values, "values", "", "a file of values")
	flag.StringVar(&a.keys, "keys", "", "a file of keys, if records have one")
	flag.StringVar(&a.compression, "compression", "none", "none, lz4 or zstd")
	flag.StringVar(&a.mode, "mode", "throughput", "throughput, await or latency")
	flag.StringVar(&a.client, "client", "", "not used: there is one client here")
	flag.IntVar(&a.partitions, "partitions", 1, "not used: the client asks")
	flag.IntVar(&a.size, "size", 100, "bytes of a value")
	flag.IntVar(&a.keySize, "key-size", 0, "bytes of a key")
	flag.IntVar(&a.batchBytes, "batch-bytes", 16384, "bytes of a batch")
	flag.IntVar(&a.bufferBytes, "buffer-bytes", 33554432, "bytes that may be buffered")
	flag.IntVar(&a.threads, "threads", 1, "goroutines that send")
	flag.IntVar(&a.window, "window", 10000, "outcomes that may be outstanding in the mode await")
	flag.IntVar(&a.rate, "rate", 1000, "records a second in the mode latency")
	flag.IntVar(&a.count, "count", 0, "records that are measured")
	flag.IntVar(&a.warmup, "warmup", 0, "records that are sent before")
	flag.Float64Var(&a.lingerMs, "linger-ms", 5, "how long a batch may wait")
	flag.Parse()
	return a
}

func main() {
	if err := run(parse()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(a arguments) error {
	codec := kgo.NoCompression()
	switch a.compression {
	case "lz4":
		codec = kgo.Lz4Compression()
	case "zstd":
		codec = kgo.ZstdCompression()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(a.bootstrap, ",")...),
		kgo.DefaultProduceTopic(a.topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(time.Duration(a.lingerMs*float64(time.Millisecond))),
		kgo.ProducerBatchMaxBytes(int32(a.batchBytes)),
		kgo.ProducerBatchCompression(codec),
		kgo.MaxBufferedRecords(recordsMax),
		kgo.MaxBufferedBytes(a.bufferBytes),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	w := &work{arguments: a, client: client}
	if w.values, err = ring(a.values, a.size); err != nil {
		return err
	}
	if a.keys != "" {
		if w.keyRing, err = ring(a.keys, a.keySize); err != nil {
			return err
		}
	}
	if err := w.sendAll(a.warmup); err != nil {
		return err
	}
	w.latencies = nil
	begin := now()
	if err := w.sendAll(a.count); err != nil {
		return err
	}
	return w.report(begin, now())
}

func ring(file string, size int) ([][]byte, error) {
	all, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if size <= 0 || len(all) < size {
		return nil, errors.New(file + " holds no value of that size")
	}
	var values [][]byte
	for ; len(all) >= size; all = all[size:] {
		values = append(values, all[:size:size])
	}
	return values, nil
}

type work struct {
	arguments
	client    *kgo.Client
	values    [][]byte
	keyRing   [][]byte
	failed    atomic.Int64
	lock      sync.Mutex
	latencies []time.Duration
}

func (w *work) sendAll(count int) error {
	var group sync.WaitGroup
	for thread := range w.threads {
		share := count / w.threads
		if thread < count%w.threads {
			share++
		}
		group.Go(func() {
			switch w.mode {
			case "latency":
				w.sendTimed(share)
			case "await":
				w.sendAwaited(share)
			default:
				w.send(share)
			}
		})
	}
	group.Wait()
	return w.client.Flush(context.Background())
}

func (w *work) record(number int) *kgo.Record {
	record := &kgo.Record{Value: w.values[number%len(w.values)]}
	if w.keyRing != nil {
		record.Key = w.keyRing[number%len(w.keyRing)]
	}
	return record
}

func (w *work) send(count int) {
	ctx := context.Background()
	done := func(_ *kgo.Record, err error) {
		if err != nil {
			w.failed.Add(1)
		}
	}
	for number := range count {
		w.client.Produce(ctx, w.record(number), done)
	}
}

// A channel for each record, which is what a future is here.
func (w *work) sendAwaited(count int) {
	ctx := context.Background()
	outstanding := make(chan chan error, w.window)
	var group sync.WaitGroup
	group.Go(func() {
		for outcome := range outstanding {
			if <-outcome != nil {
				w.failed.Add(1)
			}
		}
	})
	for number := range count {
		outcome := make(chan error, 1)
		w.client.Produce(ctx, w.record(number), func(_ *kgo.Record, err error) { outcome <- err })
		outstanding <- outcome
	}
	close(outstanding)
	group.Wait()
}

func (w *work) sendTimed(count int) {
	ctx := context.Background()
	start := time.Now()
	for number := range count {
		time.Sleep(time.Until(start.Add(time.Duration(number) * time.Second / time.Duration(w.rate))))
		begin := time.Now()
		w.client.Produce(ctx, w.record(number), func(_ *kgo.Record, err error) {
			latency := time.Since(begin)
			if err != nil {
				w.failed.Add(1)
			}
			w.lock.Lock()
			w.latencies = append(w.latencies, latency)
			w.lock.Unlock()
		})
	}
}

type moment struct {
	at           time.Time
	user, system time.Duration
}

func now() moment {
	var usage syscall.Rusage
	// It fails for a wrong argument only.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return moment{time.Now(), time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano())}
}

func (w *work) report(begin, end moment) error {
	user, system := (end.user - begin.user).Seconds(), (end.system - begin.system).Seconds()
	line := map[string]any{
		"client": "franz-go 1.22.2", "records": w.count, "seconds": end.at.Sub(begin.at).Seconds(),
		"cpu_seconds": user + system, "user_seconds": user, "system_seconds": system,
		"resident_bytes_max": residentBytesMax(), "failed": w.failed.Load(),
		"settings": "idempotent, MaxBufferedBytes, a Record for each record, a promise for each record",
	}
	if len(w.latencies) > 0 {
		slices.Sort(w.latencies)
		at := func(share float64) float64 {
			return float64(w.latencies[int(float64(len(w.latencies)-1)*share+0.5)].Nanoseconds()) / 1e3
		}
		line["latency_us"] = map[string]float64{
			"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": at(1),
		}
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	if failed := w.failed.Load(); failed > 0 {
		return fmt.Errorf("%d records failed", failed)
	}
	return nil
}

func residentBytesMax() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kilobytes << 10
		}
	}
	return 0
}
