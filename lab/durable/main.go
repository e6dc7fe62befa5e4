package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// engine appends records durably. append is called by many at once and returns when the record is on the disk.
type engine interface {
	append(record []byte) error
	close() error
}

var engines = []struct {
	name string
	open func(dir string) (engine, error)
}{
	{"raw floor", openRaw},
	{"journal", openJournal},
	{"pebble", openPebble},
	{"sqlite", openSQLite},
	{"bbolt", openBolt},
}

type result struct {
	perSecond, p50, p99, cpu, written float64 // records/s, ms, ms, µs and bytes of disk per record
}

func main() {
	var (
		writers = flag.Int("writers", 64, "who append at once")
		size    = flag.Int("size", 100, "bytes of a record")
		rounds  = flag.Int("rounds", 5, "how often each engine has its turn")
		turn    = flag.Duration("turn", 3*time.Second, "how long a turn is")
		dir     = flag.String("dir", "", "directory on the disk to be measured; empty means that of temporary files")
		only    = flag.String("only", "", "comma-separated engines; empty means all")
	)
	flag.Parse()
	if err := run(*writers, *size, *rounds, *turn, *dir, *only); err != nil {
		fmt.Fprintln(os.Stderr, "durable:", err)
		os.Exit(1)
	}
}

func run(writers, size, rounds int, turn time.Duration, dir, only string) error {
	results := map[string][]result{}
	for range rounds {
		for _, e := range engines {
			if only != "" && !slices.Contains(strings.Split(only, ","), e.name) {
				continue
			}
			r, err := measure(e.open, writers, size, turn, dir)
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			results[e.name] = append(results[e.name], r)
		}
	}
	fmt.Printf("%d writers, %d B, medians of %d turns of %v\n", writers, size, rounds, turn)
	fmt.Println("| engine | records/s | of the floor | p50 ms | p99 ms | CPU µs | disk B |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, e := range engines {
		all := results[e.name]
		if len(all) == 0 {
			continue
		}
		median := func(of func(result) float64) float64 {
			var values []float64
			for _, r := range all {
				values = append(values, of(r))
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		rate := func(r result) float64 { return r.perSecond }
		share := "–"
		if floor := results["raw floor"]; len(floor) == len(all) {
			shares := make([]float64, len(all)) // each with the floor of its own round
			for i := range all {
				shares[i] = all[i].perSecond / floor[i].perSecond
			}
			slices.Sort(shares)
			share = fmt.Sprintf("%.2f", shares[len(shares)/2])
		}
		fmt.Printf("| %s | %.0f | %s | %.2f | %.2f | %.1f | %.0f |\n", e.name, median(rate), share,
			median(func(r result) float64 { return r.p50 }), median(func(r result) float64 { return r.p99 }),
			median(func(r result) float64 { return r.cpu }), median(func(r result) float64 { return r.written }))
	}
	return nil
}

// measure has writers append to a new store for the length of a turn.
func measure(open func(string) (engine, error), writers, size int, turn time.Duration, parent string) (r result, err error) {
	dir, err := os.MkdirTemp(parent, "durable")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	e, err := open(dir)
	if err != nil {
		return r, err
	}
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		took  []time.Duration
		first error
		over  atomic.Bool
	)
	before, began := usage(), time.Now()
	timer := time.AfterFunc(turn, func() { over.Store(true) })
	defer timer.Stop()
	for range writers {
		all.Go(func() {
			record := make([]byte, size)
			var own []time.Duration
			for !over.Load() {
				at := time.Now()
				if err := e.append(record); err != nil {
					mu.Lock()
					first = errors.Join(first, err)
					mu.Unlock()
					return
				}
				own = append(own, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	all.Wait()
	elapsed, after := time.Since(began), usage()
	if err := errors.Join(first, e.close()); err != nil {
		return r, err
	}
	slices.Sort(took)
	n := float64(len(took))
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return result{
		perSecond: n / elapsed.Seconds(),
		p50:       ms(took[len(took)/2]), p99: ms(took[len(took)*99/100]),
		cpu:     float64(after.cpu-before.cpu) / float64(time.Microsecond) / n,
		written: float64(after.written-before.written) / n,
	}, nil
}

// used is what this process has used so far.
type used struct {
	cpu     time.Duration
	written int64
}

func usage() (u used) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err == nil {
		u.cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "write_bytes: %d", &u.written)
	}
	return u
}
