package engineio_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/engineio"
)

// httpServers are servers with the timeouts people set against slow clients, each shorter than a poll.
func httpServers() map[string]*http.Server {
	h2 := func() *http.Protocols {
		p := new(http.Protocols)
		p.SetUnencryptedHTTP2(true)
		return p
	}
	return map[string]*http.Server{
		"none":                 {},
		"ReadTimeout":          {ReadTimeout: time.Second},
		"ReadHeaderTimeout":    {ReadHeaderTimeout: time.Second},
		"WriteTimeout":         {WriteTimeout: time.Second},
		"IdleTimeout":          {IdleTimeout: time.Second},
		"all":                  {ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Second},
		"HTTP/2, none":         {Protocols: h2()},
		"HTTP/2, ReadTimeout":  {Protocols: h2(), ReadTimeout: time.Second},
		"HTTP/2, WriteTimeout": {Protocols: h2(), WriteTimeout: time.Second},
	}
}

func TestPollsOutliveTheTimeoutsOfTheHTTPServer(t *testing.T) {
	t.Parallel()
	for name, hs := range httpServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, engineio.Options{PingInterval: 3 * time.Second}, hs, func(t *testing.T, f *fixture, _ *pipes) {
				p := f.openPolling()
				s := receive(t, f.sessions)
				for range 3 {
					f.expect(p.poll(), 200, "2") // 3 s later
					f.expect(p.post("3"), 200, "ok")
				}
				s.Pause()
				held := make(chan answer, 1)
				go func() { held <- p.post("4held") }()
				f.expect(p.poll(), 200, "2")
				s.Resume()
				f.expect(<-held, 200, "ok")
				f.expect(p.poll(), 200, "4held")
				if n := f.server.Stats().Requests; n != 0 {
					t.Errorf("%d requests are counted after the last", n)
				}
			})
		})
	}
}

// TestBodiesThatDoNotArrive sends the heads of requests whose bodies stay away.
func TestBodiesThatDoNotArrive(t *testing.T) {
	t.Parallel()
	const timeout = 20 * time.Second
	for _, tt := range []struct {
		name, head string // %s is the query of a session
		within     time.Duration
		status     string
		ends       bool
	}{
		{"POST", "POST /?%s HTTP/1.1\r\nContent-Length: 10", timeout, "408", true},
		{"chunked POST", "POST /?%s HTTP/1.1\r\nTransfer-Encoding: chunked", timeout, "408", true},
		{"expected POST", "POST /?%s HTTP/1.1\r\nContent-Length: 10\r\nExpect: 100-continue", timeout, "408", true},
		{"POST of binary", "POST /?%s HTTP/1.1\r\nContent-Length: 10\r\nContent-Type: application/octet-stream", 3 * time.Second, "400", true},
		{"POST without end", "POST /?%s HTTP/1.1\r\nContent-Length: 10000000000", timeout + time.Second, "408", true},
		{"unknown session", "POST /?EIO=4&transport=polling&sid=x%.0s HTTP/1.1\r\nContent-Length: 10", 3 * time.Second, "400", false},
		{"unknown session by GET", "GET /?EIO=4&transport=polling&sid=x%.0s HTTP/1.1\r\nContent-Length: 10", 3 * time.Second, "400", false},
		{"unknown transport", "POST /?EIO=4&transport=x%.0s HTTP/1.1\r\nTransfer-Encoding: chunked", 3 * time.Second, "400", false},
		{"handshake by POST", "POST /?EIO=4&transport=polling%.0s HTTP/1.1\r\nContent-Length: 10", 3 * time.Second, "400", false},
		{"handshake with a body", "GET /?EIO=4&transport=polling%.0s HTTP/1.1\r\nContent-Length: 10", 3 * time.Second, "200", false},
		{"poll with a body", "GET /?%s HTTP/1.1\r\nTransfer-Encoding: chunked", 5 * time.Second, "200", false},
		{"other method", "PUT /?%s HTTP/1.1\r\nContent-Length: 10", 3 * time.Second, "405", false},
		{"preflight", "OPTIONS /?%s HTTP/1.1\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET\r\nContent-Length: 10", 3 * time.Second, "204", false},
		{"WebSocket of nobody", "GET /?EIO=4&transport=websocket&sid=x%.0s HTTP/1.1\r\nContent-Length: 10\r\nConnection: upgrade\r\nUpgrade: websocket", 3 * time.Second, "400", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := engineio.Options{BodyTimeout: timeout, PingInterval: 2 * time.Second, PingTimeout: time.Hour, CORS: &engineio.CORS{AllowOrigins: []string{"*"}}}
			bubble(t, opts, &http.Server{}, func(t *testing.T, f *fixture, network *pipes) {
				p := f.openPolling()
				conn := network.dial()
				defer conn.Close()
				got := answers(conn)
				begin := time.Now()
				fmt.Fprintf(conn, tt.head+"\r\nHost: x\r\n\r\n", p.query)
				synctest.Wait()
				if strings.Contains(tt.name, "without end") {
					go func() { // ends with the connection
						for {
							if _, err := io.WriteString(conn, "0"); err != nil {
								return
							}
							time.Sleep(100 * time.Millisecond)
						}
					}()
				}
				if n := f.server.Stats().Requests; tt.ends && tt.status == "408" && n != 1 {
					t.Errorf("%d requests are in flight, not the one", n)
				}
				text := <-got
				if took := time.Since(begin); took > tt.within || !strings.Contains(text, "HTTP/1.1 "+tt.status+" ") {
					t.Errorf("after %v: %q", took, text)
				}
				synctest.Wait()
				if ended := len(f.ends) > 0; ended != tt.ends {
					t.Errorf("the session has ended: %v", ended)
				}
			})
		})
	}
}

// TestTheEndOfASessionEndsItsRequests ends sessions in every way while their requests wait for something.
func TestTheEndOfASessionEndsItsRequests(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f *fixture, s *engineio.Session, p *poller){
		"Close":     func(_ *fixture, s *engineio.Session, _ *poller) { s.Close() },
		"CloseWith": func(_ *fixture, s *engineio.Session, _ *poller) { s.CloseWith(engineio.TransportError, nil) },
		"shutdown":  func(f *fixture, _ *engineio.Session, _ *poller) { _ = f.server.Shutdown(f.Context()) },
		"heartbeat": func(f *fixture, _ *engineio.Session, _ *poller) { f.ended(engineio.PingTimeout) },
	} {
		for _, waiting := range []string{"half a POST", "half a chunked POST", "a POST held back"} {
			t.Run(name+" with "+waiting, func(t *testing.T) {
				t.Parallel()
				bubble(t, engineio.Options{PingInterval: time.Second, PingTimeout: time.Second, BodyTimeout: time.Hour}, &http.Server{},
					func(t *testing.T, f *fixture, network *pipes) {
						p := f.openPolling()
						s := receive(t, f.sessions)
						conn := network.dial()
						defer conn.Close()
						got := answers(conn)
						head := "POST /?" + p.query + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
						switch waiting {
						case "half a POST":
							fmt.Fprint(conn, head+"Content-Length: 10\r\n\r\n4x")
						case "half a chunked POST":
							fmt.Fprint(conn, head+"Transfer-Encoding: chunked\r\n\r\n2\r\n4x\r\n")
						default:
							if name == "heartbeat" {
								return // it is not judged while the session is paused
							}
							s.Pause()
							fmt.Fprint(conn, head+"Content-Length: 2\r\n\r\n4x")
						}
						synctest.Wait()
						end(f, s, p)
						begin := time.Now()
						<-got
						if took := time.Since(begin); took > 0 {
							t.Errorf("the request ended %v after its session", took)
						}
						synctest.Wait()
						if n := f.server.Stats().Requests; n != 0 {
							t.Errorf("%d requests are left", n)
						}
					})
			})
		}
	}
}

func TestUnreadAnswersEnd(t *testing.T) {
	t.Parallel()
	for name, hs := range httpServers() {
		if hs.Protocols != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, engineio.Options{PingInterval: time.Hour, WriteTimeout: 5 * time.Second}, hs, func(t *testing.T, f *fixture, network *pipes) {
				p := f.openPolling()
				message := engineio.Prepare(engineio.Message{Data: []byte(strings.Repeat("x", 200_000))})
				if err := receive(t, f.sessions).Send(message, 0); err != nil {
					t.Fatal(err)
				}
				conn := network.dial()
				defer conn.Close()
				fmt.Fprintf(conn, "GET /?%s HTTP/1.1\r\nHost: x\r\n\r\n", p.query)
				begin := time.Now()
				for range 2 { // one that reads, though slowly, is waited for
					if _, err := io.CopyN(io.Discard, conn, 66_000); err != nil {
						t.Fatal(err)
					}
					time.Sleep(4 * time.Second)
				}
				f.ended(engineio.TransportError)
				if took := time.Since(begin); took < 8*time.Second || took > 10*time.Second {
					t.Errorf("given up after %v", took)
				}
			})
		})
	}
}

// TestAnAnswerDoesNotOutliveItsSession ends sessions in every way while the answer to their poll is being written to a
// client that does not read, or that reads as slowly as is allowed. What was sent before an orderly end has its time.
func TestAnAnswerDoesNotOutliveItsSession(t *testing.T) {
	t.Parallel()
	const writeTimeout = 5 * time.Second
	endings := map[string]struct {
		end          func(f *fixture, s *engineio.Session, p *poller)
		unread, slow time.Duration // how long the answer may go on after that
	}{
		"CloseWith":    {func(_ *fixture, s *engineio.Session, _ *poller) { s.CloseWith(engineio.ForcedClose, nil) }, 0, 0},
		"heartbeat":    {func(f *fixture, _ *engineio.Session, _ *poller) { f.ended(engineio.PingTimeout) }, 0, 0},
		"bad packet":   {func(_ *fixture, _ *engineio.Session, p *poller) { p.post("x") }, 0, 0},
		"another poll": {func(f *fixture, _ *engineio.Session, p *poller) { f.expect(p.poll(), http.StatusBadRequest, "") }, 0, 0},
		"close packet": {func(_ *fixture, _ *engineio.Session, p *poller) { p.post("1") }, time.Second, time.Second},
		"Close":        {func(_ *fixture, s *engineio.Session, _ *poller) { s.Close() }, writeTimeout, 30 * time.Second},
		"shutdown":     {func(f *fixture, _ *engineio.Session, _ *poller) { f.shutdown(16 * time.Second) }, writeTimeout, 13 * time.Second},
	}
	servers := map[string]func() *http.Server{
		"HTTP/1": func() *http.Server { return &http.Server{} },
		"HTTP/2": func() *http.Server { return &http.Server{Protocols: httpServers()["HTTP/2, none"].Protocols} },
		"TLS":    func() *http.Server { return &http.Server{TLSConfig: secure()} },
	}
	opts := engineio.Options{PingInterval: time.Minute, PingTimeout: time.Minute, WriteTimeout: writeTimeout}
	for over, server := range servers {
		for name, ending := range endings {
			for how, limit := range map[string]time.Duration{"unread": ending.unread, "read slowly": ending.slow} {
				t.Run(over+", "+name+", "+how, func(t *testing.T) {
					t.Parallel()
					opts := opts
					if name == "heartbeat" {
						opts.PingInterval, opts.PingTimeout = time.Second, 2*time.Second
					}
					bubble(t, opts, server(), func(t *testing.T, f *fixture, _ *pipes) {
						p := f.openPolling()
						s := receive(t, f.sessions)
						begun := f.halfAnswer(p, s, 8<<20)
						defer begun.Body.Close()
						if how == "read slowly" {
							over := make(chan struct{})
							defer close(over)
							go func() { // ends with the test
								for {
									_, _ = io.CopyN(io.Discard, begun.Body, 2*answerPart)
									select {
									case <-time.After(writeTimeout - time.Second):
									case <-over:
										return
									}
								}
							}()
						}
						ending.end(f, s, p)
						limit := limit
						if over == "TLS" {
							limit += 5 * time.Second // in which crypto/tls tries to say that it closes
						}
						time.Sleep(limit + 100*time.Millisecond) // the wheel is no more exact than that
						synctest.Wait()
						if n := f.server.Stats().Requests; n != 0 {
							t.Errorf("%d answers go on after %v", n, limit)
						}
						time.Sleep(time.Minute) // until a shutdown is over
					})
				})
			}
		}
	}
}

// TestAnUpgradeOverAnAnswerEndsTheSession upgrades without having read what was sent.
func TestAnUpgradeOverAnAnswerEndsTheSession(t *testing.T) {
	t.Parallel()
	bubble(t, engineio.Options{PingInterval: time.Hour}, &http.Server{}, func(t *testing.T, f *fixture, _ *pipes) {
		p := f.openPolling()
		begun := f.halfAnswer(p, receive(t, f.sessions), 1<<20)
		defer begun.Body.Close()
		ws := f.dial("EIO=4&transport=websocket&sid=" + p.sid)
		ws.send("2probe")
		if got := ws.read(); got != "3probe" {
			t.Errorf("the probe was answered with %q", got)
		}
		ws.send("5")
		f.ended(engineio.TransportError)
		synctest.Wait()
		if n := f.server.Stats().Requests; n != 0 {
			t.Errorf("%d answers go on", n)
		}
	})
}

// TestAnOrderlyEndWaitsForTheAnswer ends sessions while their client reads, though not fast.
func TestAnOrderlyEndWaitsForTheAnswer(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f *fixture, s *engineio.Session) <-chan error{
		"Close":    func(_ *fixture, s *engineio.Session) <-chan error { s.Close(); return nil },
		"shutdown": func(f *fixture, _ *engineio.Session) <-chan error { return f.shutdown(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, engineio.Options{WriteTimeout: 5 * time.Second}, &http.Server{}, func(t *testing.T, f *fixture, _ *pipes) {
				p := f.openPolling()
				s := receive(t, f.sessions)
				begun := f.halfAnswer(p, s, 1<<20)
				defer begun.Body.Close()
				done := end(f, s)
				left := 1<<20 - answerPart
				for ; left > answerPart; left -= answerPart {
					if _, err := io.CopyN(io.Discard, begun.Body, answerPart); err != nil {
						t.Errorf("%d bytes were to come: %v", left, err)
						return
					}
					time.Sleep(time.Second)
				}
				select {
				case err := <-done:
					t.Errorf("the shutdown ended before the answer: %v", err)
				default:
				}
				if n, err := io.Copy(io.Discard, begun.Body); err != nil || int(n) != left+1 { // and the type of the packet
					t.Errorf("the rest are %d bytes of %d: %v", n, left+1, err)
				}
				f.expect(p.poll(), http.StatusOK, "6\x1e1")
				if done != nil {
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// answerPart is what is written under one deadline.
const answerPart = 64 << 10

// halfAnswer begins to read a poll's answer, a message of that size.
func (f *fixture) halfAnswer(p *poller, s *engineio.Session, size int) *http.Response {
	f.Helper()
	if err := s.Send(engineio.Prepare(engineio.Message{Data: make([]byte, size)}), 0); err != nil {
		f.Fatal(err)
	}
	req, err := http.NewRequestWithContext(f.Context(), http.MethodGet, f.url+"?"+p.query, nil)
	if err != nil {
		f.Fatal(err)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, answerPart); err != nil {
		f.Fatal(err)
	}
	synctest.Wait()
	return resp
}

func TestAConnectionIsAsBeforeAfterAnAnswer(t *testing.T) {
	t.Parallel()
	hs := &http.Server{IdleTimeout: time.Minute, ReadTimeout: time.Second, WriteTimeout: time.Second}
	bubble(t, engineio.Options{PingInterval: time.Hour, PingTimeout: time.Hour, WriteTimeout: time.Second, BodyTimeout: time.Second}, hs,
		func(t *testing.T, f *fixture, network *pipes) {
			dials := 0
			transport := f.client.Transport.(*http.Transport)
			dial := transport.DialContext
			transport.DialContext = func(ctx context.Context, a, b string) (net.Conn, error) {
				dials++
				return dial(ctx, a, b)
			}
			p := f.openPolling()
			for range 3 {
				f.expect(p.post("4x"), 200, "ok")
				time.Sleep(30 * time.Second) // longer than every deadline but the one for idle connections
				f.expect(p.poll(), 200, "4x")
				f.expect(p.do("POST", "EIO=4&transport=polling&sid=x", "4x"), 400, `{"code":1,"message":"Session ID unknown"}`)
			}
			if dials != 1 {
				t.Errorf("%d connections were needed", dials)
			}
		})
}
