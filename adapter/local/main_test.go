package local_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/local"
	"github.com/peal-dev/peal/message"
)

// A test binary with these variables is a process of a cluster: see speak.
const (
	dirVariable  = "PEAL_TEST_LOCAL_DIR"
	nameVariable = "PEAL_TEST_LOCAL_NAME"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		if err := speak(dir, os.Getenv(nameVariable)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// speak publishes events called by its name and a number, until its standard input ends: then it says how many they were,
// and leaves.
func speak(dir, name string) error {
	ctx := context.Background()
	d, err := local.New(local.Options{Dir: dir})
	if err != nil {
		return err
	}
	a, err := adapter.New(ctx, "/", d, nil)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	over := make(chan struct{})
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString(0) // ends with the input
		close(over)
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
			if err := a.Broadcast(ctx, message.New(fmt.Appendf(nil, `["%s %d"]`, name, n)), message.Target{}); err != nil {
				return err
			}
			continue
		case <-over:
		}
		fmt.Println(n)
		if err := a.Close(ctx); err != nil {
			return err
		}
		return d.Close(ctx)
	}
}

// process is one that speaks.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	out  *bufio.Reader
	in   interface{ Close() error }
}

func startProcess(t *testing.T, dir, name string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), dirVariable+"="+dir, nameVariable+"="+name)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	t.Cleanup(p.kill)
	if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%s says %q, %v", name, line, err)
	}
	return p
}

// kill ends it as a crash does. One that has ended stays so.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was told to end
}

// end has it leave, and returns how many events it has published.
func (p *process) end() (n int) {
	p.t.Helper()
	if err := p.in.Close(); err != nil {
		p.t.Error(err)
	}
	if _, err := fmt.Fscanln(p.out, &n); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	return n
}
