package engineio_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
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
		time.Sleep(opts.PingTimeout)
		late := p.pollAsync()
		synctest.Wait()
		f.expect(p.post("3"), 200, "ok")
		f.expect(<-late, 200, "2")
	})
	test("without a pong", func(t *testing.T, f *fixture, p *poller) {
		f.expect(p.poll(), 200, "2")
		time.Sleep(opts.PingTimeout)
		f.expect(p.poll(), 400, unknown)
		f.ended(engineio.PingTimeout)
	})
	test("without having fetched the ping", func(t *testing.T, f *fixture, p *poller) {
		time.Sleep(opts.PingInterval + opts.PingTimeout)
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
		time.Sleep(opts.PingTimeout + opts.PingTimeout/8)
		f.expect(p.post("3"), 200, "ok")
		f.expect(p.poll(), 200, "2")
	})
	test("pong after it", func(t *testing.T, f *fixture, p *poller) {
		f.expect(p.poll(), 200, "2")
		time.Sleep(opts.PingTimeout + opts.PingTimeout/2)
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
		time.Sleep(opts.UpgradeTimeout)
		synctest.Wait()
		conn.Write([]byte{0x81, 0x81, 0, 0, 0, 0, '5'})
		synctest.Wait()
		if got := s.Transport(); got != engineio.WebSocket {
			t.Errorf("the session is on %s", got)
		}
	})
}
