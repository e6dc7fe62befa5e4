package engineio_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/engineio"
)

// stallable, in the environment, makes the test binary a server that a test can stop as a whole, as a debugger or the lid
// of a laptop does.
const stallable = "PEAL_TEST_STALLABLE_SERVER"

const (
	stallInterval = 500 * time.Millisecond
	stallTimeout  = 2 * time.Second
)

// serveStallable serves until its standard input ends.
func serveStallable(how string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := engineio.NewServer(newEcho(), &engineio.Options{PingInterval: stallInterval, PingTimeout: stallTimeout, Goroutines: how == "goroutines"})
	fmt.Println(l.Addr())
	go func() { _ = http.Serve(l, server) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

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

func (p *poller) postAsync(body string) <-chan answer {
	out := make(chan answer, 1)
	go func() { out <- p.post(body) }()
	return out
}

// TestAPollThatIsLate polls when a pong is overdue: it waits for what the POST beside it brings.
func TestAPollThatIsLate(t *testing.T) {
	t.Parallel()
	opts := engineio.Options{PingInterval: 3 * time.Second, PingTimeout: 2 * time.Second}
	test := func(name string, test func(t *testing.T, f *fixture, p *poller)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, opts, &http.Server{}, func(t *testing.T, f *fixture, _ *pipes) { test(t, f, f.openPolling()) })
		})
	}
	const unknown = `{"code":1,"message":"Session ID unknown"}`
	test("before the pong", func(t *testing.T, f *fixture, p *poller) {
		f.expect(p.poll(), 200, "2")
		<-time.After(opts.PingTimeout)
		late := p.pollAsync()
		synctest.Wait()
		f.expect(p.post("3"), 200, "ok")
		f.expect(<-late, 200, "2")
	})
	test("without a pong", func(t *testing.T, f *fixture, p *poller) {
		f.expect(p.poll(), 200, "2")
		<-time.After(opts.PingTimeout)
		f.expect(p.poll(), 400, unknown)
		f.ended(engineio.PingTimeout)
	})
	test("without having fetched the ping", func(t *testing.T, f *fixture, p *poller) {
		<-time.After(opts.PingInterval + opts.PingTimeout)
		f.expect(p.poll(), 400, unknown)
		f.ended(engineio.PingTimeout)
	})
	test("that was there in time", func(t *testing.T, f *fixture, p *poller) {
		f.expect(p.poll(), 200, "2")
		f.expect(p.poll(), 200, "1")
		f.ended(engineio.PingTimeout)
	})
	test("pong in the grace", func(t *testing.T, f *fixture, p *poller) {
		f.expect(p.poll(), 200, "2")
		<-time.After(opts.PingTimeout + opts.PingTimeout/8)
		f.expect(p.post("3"), 200, "ok")
		f.expect(p.poll(), 200, "2")
	})
	test("pong after it", func(t *testing.T, f *fixture, p *poller) {
		f.expect(p.poll(), 200, "2")
		<-time.After(opts.PingTimeout + opts.PingTimeout/2)
		f.expect(p.post("3"), 400, unknown)
	})
}

// TestAnUpgradeThatIsLateIsJudgedAfterItsInput sends the last packet of an upgrade when its time has passed already.
func TestAnUpgradeThatIsLateIsJudgedAfterItsInput(t *testing.T) {
	t.Parallel()
	opts := engineio.Options{UpgradeTimeout: 5 * time.Second}
	bubble(t, opts, &http.Server{}, func(t *testing.T, f *fixture, network *pipes) {
		p := f.openPolling()
		s := receive(t, f.sessions)
		conn := network.dial()
		defer conn.Close()
		go io.Copy(io.Discard, conn) // ends with the connection
		fmt.Fprintf(conn, "GET /?%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", strings.Replace(p.query, "=polling", "=websocket", 1))
		<-time.After(opts.UpgradeTimeout)
		synctest.Wait()
		conn.Write([]byte{0x81, 0x81, 0, 0, 0, 0, '5'})
		synctest.Wait()
		if got := s.Transport(); got != engineio.WebSocket {
			t.Errorf("the session is on %s", got)
		}
	})
}
