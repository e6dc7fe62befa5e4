package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/peal-dev/peal/internal/bench/evloop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "curves:", err)
		stop()
		os.Exit(1)
	}
}

// settings is the command line.
type settings struct {
	out    string
	quick  bool
	redis  string
	sweeps int
	limit  time.Duration
}

func run(ctx context.Context) error {
	var s settings
	flag.StringVar(&s.out, "out", "bench", "directory to write CURVES.md and curves/*.svg to; empty prints the text only, which is the default with --quick")
	flag.BoolVar(&s.quick, "quick", false, "a short run with few clients, too small to judge growth by: only lost messages fail it")
	flag.StringVar(&s.redis, "redis", "redis-server", "Redis server program")
	flag.IntVar(&s.sweeps, "sweeps", 3, "times to measure everything, as far as the limit allows; 1 with --quick")
	flag.DurationVar(&s.limit, "limit", 8*time.Minute, "how long everything may take")
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if s.quick && !given["out"] {
		s.out = ""
	}
	if s.quick && !given["sweeps"] {
		s.sweeps = 1
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, errLimit)
	defer cancel()
	r, err := s.measure(ctx)
	if err != nil {
		return err
	}
	if s.out == "" {
		fmt.Print(r.markdown())
	} else if err := r.write(s.out); err != nil {
		return err
	}
	return r.verdict()
}

// errLimit says that the whole run took too long.
var errLimit = errors.New("the time limit (--limit) is over")

// errSweepDropped says that a sweep could not be ended in time.
var errSweepDropped = errors.New("the sweep was not ended in time")

// key is what is measured: a point of a curve, of Peal or of the floor.
type key struct {
	curve string
	x     int
	floor bool
}

// results is what has been measured.
type results struct {
	quick    bool
	began    time.Time
	took     time.Duration
	curves   []curve
	sweeps   int
	costs    map[key][]cost // one for each sweep
	problems []string
	loads    []string // load average before the first sweep and after each
	machine  []string
}

// measure makes the sweeps.
func (s settings) measure(ctx context.Context) (*results, error) {
	size := full
	if s.quick {
		size = quick
	}
	r := &results{quick: s.quick, began: time.Now(), curves: size.curves(), costs: map[key][]cost{}, loads: []string{loadAverage()}, machine: machine(ctx)}
	if err := r.preflight(s); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "peal-curves-")
	if err != nil {
		return nil, fmt.Errorf("a directory for the programs: %w", err)
	}
	defer os.RemoveAll(dir) // the system cleans up what is left
	p, err := build(ctx, dir, s.redis)
	if err != nil {
		return nil, err
	}
	var longest time.Duration
	for r.sweeps < s.sweeps {
		// Another sweep takes about as long as those before; a dropped one would be work for nothing.
		if r.sweeps > 0 && time.Since(r.began)+longest*5/4 > s.limit {
			break
		}
		began := time.Now()
		err := r.sweep(ctx, p)
		if errors.Is(err, errSweepDropped) && r.sweeps > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		longest = max(longest, time.Since(began))
		r.loads = append(r.loads, loadAverage())
	}
	r.took = time.Since(r.began)
	return r, nil
}

// preflight looks whether everything is there, before minutes have been spent.
func (r *results) preflight(s settings) error {
	if s.sweeps < 1 {
		return fmt.Errorf("--sweeps must be positive, it is %d", s.sweeps)
	}
	if _, err := exec.LookPath(s.redis); err != nil {
		return fmt.Errorf("looking for Redis (--redis): %w", err)
	}
	most := 0
	for _, c := range r.curves {
		for _, p := range c.points {
			most = max(most, p.load.clients)
		}
	}
	const spare = 200
	if n := evloop.MaxOpen(); n < most+spare {
		return fmt.Errorf("%d clients need as many open files and this process may have %d; raise the limit (ulimit -n %d) or make a quick run", most, n, most+spare)
	}
	return nil
}

// sweep measures every point once. Its figures count only if it comes to its end.
func (r *results) sweep(ctx context.Context, p programs) error {
	costs := map[key]cost{}
	for _, c := range r.curves {
		for _, at := range c.points {
			for _, floor := range []bool{false, true} {
				if floor && !c.floored {
					continue
				}
				k := key{c.id, at.x, floor}
				began := time.Now()
				measured, err := measure(ctx, p, at.load, floor)
				if errors.Is(context.Cause(ctx), errLimit) {
					return errors.Join(errSweepDropped, errLimit)
				} else if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				name := fmt.Sprintf("sweep %d, %s%s", r.sweeps+1, c.label(at.x), c.noun)
				if floor {
					name += ", floor"
				}
				if err != nil { // the others are worth measuring all the same
					r.problems = append(r.problems, fmt.Sprintf("%s: %v", name, err))
					fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
					continue
				}
				costs[k] = measured
				fmt.Fprintf(os.Stderr, "%s: %s KiB per connection idle, %s after, %s µs per delivery (%.1f s; %s in all)\n", name,
					number(idleMemory.part(measured, at.load)), number(memoryAfter.part(measured, at.load)), number(fanoutCPU.part(measured, at.load)),
					time.Since(began).Seconds(), time.Since(r.began).Round(time.Second))
			}
		}
	}
	for k, c := range costs {
		r.costs[k] = append(r.costs[k], c)
	}
	r.sweeps++
	return nil
}

// write writes the text and the pictures below a directory.
func (r *results) write(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "curves"), 0o755); err != nil {
		return fmt.Errorf("a directory for the pictures: %w", err)
	}
	for _, p := range r.pictures() {
		file, err := os.Create(filepath.Join(dir, p.path))
		if err != nil {
			return fmt.Errorf("writing a picture: %w", err)
		}
		if err := errors.Join(p.draw(file), file.Close()); err != nil {
			return fmt.Errorf("writing %s: %w", p.path, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "CURVES.md"), []byte(r.markdown()), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}

// verdict returns an error if a message was lost, or a cost grows faster than linearly.
func (r *results) verdict() error {
	var errs []error
	for _, p := range r.problems {
		errs = append(errs, errors.New(p))
	}
	for i := range r.curves {
		for _, g := range r.growths(&r.curves[i]) {
			if !r.quick && !g.holds() {
				errs = append(errs, errors.New(g.sentence(&r.curves[i])))
			}
		}
	}
	return errors.Join(errs...)
}
