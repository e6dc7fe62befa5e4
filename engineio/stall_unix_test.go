//go:build unix

package engineio_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startStallable starts such a server and returns a fixture for its clients alone.
func startStallable(t *testing.T, how string) (f *fixture, process *os.Process) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), stallable+"="+how)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = in.Close()
		_ = cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{T: t, url: "http://" + strings.TrimSpace(addr) + "/", client: &http.Client{Transport: transport}}, cmd.Process
}

func TestClientsThatAnsweredDuringAStallStay(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"pollers", "goroutines"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f, process := startStallable(t, how)
			const n = 20
			silent := f.openWebSocket()
			quiet, err := net.Dial("tcp", strings.Trim(f.url, "htp:/"))
			if err != nil {
				t.Fatal(err)
			}
			defer quiet.Close()
			var between, parked []*poller // those whose ping waits for their next poll, and those who were sent it
			var sockets []*wsClient
			for range n {
				between = append(between, f.openPolling())
			}
			var polls []<-chan answer
			for range n {
				p := f.openPolling()
				parked = append(parked, p)
				polls = append(polls, p.pollAsync())
				sockets = append(sockets, f.openWebSocket())
			}
			for i := range n { // in the order of their pings
				f.expect(<-polls[i], 200, "2")
				if got := sockets[i].read(); got != "2" {
					t.Fatalf("got %q", got)
				}
			}

			if err := process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			var posts []<-chan answer
			polls = polls[:0]
			for i := range n {
				sockets[i].send("3")
				// The next poll and the pong travel on two connections, in no order.
				polls = append(polls, parked[i].pollAsync(), between[i].pollAsync())
				posts = append(posts, parked[i].postAsync("3"))
			}
			if err := quiet.SetReadDeadline(time.Now().Add(stallTimeout + 200*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := quiet.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("a stopped server did something: %v", err)
			}
			if err := process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}

			for i := range n {
				f.expect(<-posts[i], 200, "ok")
				f.expect(<-polls[2*i], 200, "2")
				f.expect(<-polls[2*i+1], 200, "2")
				if got := sockets[i].read(); got != "2" {
					t.Errorf("a WebSocket got %q", got)
				}
			}
			silent.closeCode() // one that had not answered is gone
		})
	}
}
