package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/internal/reuseport"
	"github.com/peal-dev/peal/internal/service"
)

// workerVariable has the orders of a worker, which is a process of the same command line. It is not for users.
const workerVariable = "_PEAL_WORKER"

// maxWorkers is more than any machine has cores for.
const maxWorkers = 1024

// orders say in what a worker differs from what the command line says.
type orders struct {
	Index      int    `json:"index"`
	Listen     string `json:"listen"`
	Internal   string `json:"internal,omitempty"`
	Cluster    string `json:"cluster"`
	PeerListen string `json:"peer_listen,omitempty"`
	Advertise  string `json:"advertise,omitempty"`
}

// work serves as one of several until ctx is done, or the process that has started it is gone: the other end of its input.
// That reads on its output when it serves.
func (c *serveCommand) work(ctx context.Context, text string) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("%s is set, which is not for users: %w", workerVariable, err)
	}
	c.Logger = c.Logger.With("worker", o.Index)
	c.Listen, c.InternalListen, c.Cluster, c.PeerListen, c.Advertise, c.ReusePort = o.Listen, o.Internal, o.Cluster, o.PeerListen, o.Advertise, true
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process, whose input this is
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return gateway.Run(ctx, c.Config, func(s *gateway.Server) {
		c.Logger.Info("listening", "addr", s.Addr(), "node", s.Node(), "cluster", true, "dev", c.Dev)
		_, _ = fmt.Println("serving") // whoever does not read it is gone
	})
}

// supervise runs the workers until ctx is done, and starts those again that end before.
func (c *serveCommand) supervise(ctx context.Context, streams streams) error {
	if c.Workers < 0 || c.Workers > maxWorkers {
		return fmt.Errorf("--workers: %d is not from 0 to %d; 0 means one for each core", c.Workers, maxWorkers)
	}
	if err := c.Validate(); err != nil {
		return err
	}
	n := c.Workers
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	address, release, err := reuseport.Reserve(ctx, c.listenAddress())
	if err != nil {
		return fmt.Errorf("--listen %s: %w", c.listenAddress(), err)
	}
	defer release()
	all := make([]orders, n)
	dir := ""
	if c.Cluster == "" {
		if dir, err = os.MkdirTemp("", "peal-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	for i := range all {
		if all[i], err = c.ordersOf(i, address, dir); err != nil {
			return err
		}
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var working sync.WaitGroup
	serving := make(chan struct{}, n)
	ended := make(chan error, n)
	for _, o := range all {
		working.Go(func() {
			err := c.keep(ctx, o, streams, serving)
			if err != nil {
				fail(err)
			}
			ended <- err
		})
	}
	for range n {
		select {
		case <-serving:
			continue
		case <-ctx.Done():
		}
		break
	}
	if ctx.Err() == nil {
		internal := ""
		if c.InternalListen != "" {
			internal = "http://" + all[0].Internal
		}
		c.Logger.Info("listening", "addr", address, "workers", n)
		announceURLs(streams.out, "http://"+dialable(address), internal, c.Dev)
	}
	working.Wait()
	var errs []error
	for range n {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

func (c *serveCommand) listenAddress() string {
	switch {
	case c.Listen != "":
		return c.Listen
	case c.Dev:
		return gateway.DefaultDevListen
	}
	return gateway.DefaultListen
}

// ordersOf makes the orders of a worker. Addresses that only one process can have are counted up from what was said.
func (c *serveCommand) ordersOf(i int, listen, dir string) (o orders, err error) {
	o = orders{Index: i, Listen: listen, Cluster: c.Cluster}
	if dir != "" {
		o.Cluster, o.PeerListen = "unix://"+dir, "127.0.0.1:0"
		return o, o.number(&o.Internal, c.InternalListen, "internal-listen")
	}
	return o, errors.Join(o.number(&o.Internal, c.InternalListen, "internal-listen"), o.number(&o.PeerListen, c.PeerListen, "peer-listen"),
		o.number(&o.Advertise, c.Advertise, "advertise"))
}

// number sets field to an address whose port is as much higher as the worker's number is. Port 0 and no address stay.
func (o *orders) number(field *string, address, setting string) error {
	if *field = address; address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	p, perr := strconv.Atoi(port)
	switch {
	case err != nil || perr != nil:
		return fmt.Errorf("--%s: %q is not HOST:PORT", setting, address)
	case p == 0:
		return nil
	case p+o.Index > 65535:
		return fmt.Errorf("--%s: worker %d would have port %d; choose a lower one", setting, o.Index, p+o.Index)
	}
	*field = net.JoinHostPort(host, strconv.Itoa(p+o.Index))
	return nil
}

// dialable is an address that this machine reaches itself by.
func dialable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

// keep runs one worker until ctx is done, and another when it ends before. It gives up if one does that before it serves.
func (c *serveCommand) keep(ctx context.Context, o orders, streams streams, serving chan<- struct{}) error {
	backoff := service.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for first := true; ; first = false {
		began := time.Now()
		served, err := c.runWorker(ctx, o, streams, func() {
			if first {
				serving <- struct{}{}
			}
		})
		switch {
		case ctx.Err() != nil:
			return err
		case !served && first:
			return fmt.Errorf("worker %d: %w", o.Index, err)
		}
		if time.Since(began) > time.Minute {
			backoff.Reset()
		}
		c.Logger.LogAttrs(ctx, slog.LevelError, "a worker ended; another takes its place", slog.Int("worker", o.Index), slog.Any("err", err))
		if !service.Pause(ctx, backoff.Next()) {
			return nil
		}
	}
}

// runWorker runs a worker to its end, for which it is asked when ctx is done. Served is called when it serves.
func (c *serveCommand) runWorker(ctx context.Context, o orders, streams streams, served func()) (wasServing bool, err error) {
	binary, err := os.Executable()
	if err != nil {
		return false, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // it is made of strings
	}
	cmd := exec.CommandContext(ctx, binary, os.Args[1:]...)
	cmd.Env = append(os.Environ(), workerVariable+"="+string(text))
	cmd.Stderr = streams.err
	cmd.Cancel = func() error { return cmd.Process.Signal(stopSignal) }
	cmd.WaitDelay = c.ShutdownTimeout + c.Drain + time.Minute
	cmd.SysProcAttr = ownGroup() // a terminal's Ctrl-C is for this process, which tells the workers
	alive, err := cmd.StdinPipe()
	if err != nil {
		return false, err
	}
	defer alive.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	if _, err := fmt.Fscanln(out, new(string)); err == nil {
		wasServing = true
		served()
		_, _ = io.Copy(io.Discard, out) // until it ends
	}
	err = cmd.Wait()
	if ctx.Err() != nil && cmd.ProcessState.ExitCode() == 0 {
		err = nil // of ctx, which it was ended by
	}
	return wasServing, err
}
