package netconn_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/peal-dev/peal/internal/netconn"
)

// BenchmarkFanOut sends a message to many connections: over TCP, over TLS, and over TLS by a bare loop of writes. The peers
// read what arrives and do not decrypt it. cpu-ns/delivery is the CPU time of the process, the peers' included.
func BenchmarkFanOut(b *testing.B) {
	for _, kind := range []string{"plain", "tls", "bare tls"} {
		b.Run(kind, func(b *testing.B) {
			var l netconn.Loop
			defer l.Close()
			const n = 1000
			var conns []*netconn.Conn
			var bare []net.Conn
			for _, nc := range dialMany(b, n, kind != "plain") {
				if kind == "bare tls" {
					bare = append(bare, nc)
					defer nc.Close()
					continue
				}
				c := l.Adopt(nc, 0)
				c.Start(newRecorder(), nil)
				conns = append(conns, c)
			}
			frame := make([]byte, 100)
			began := cpu(b)
			b.ResetTimer()
			for b.Loop() {
				for _, nc := range bare {
					if _, err := nc.Write(frame); err != nil {
						b.Fatal(err)
					}
				}
				for _, c := range conns {
					if err := c.Write(frame, netconn.Deferred); err != nil {
						b.Fatal(err)
					}
				}
				for _, c := range conns { // each message by itself, as with messages that are not a burst
					for c.Queued() > 0 {
						runtime.Gosched()
					}
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(cpu(b)-began)/float64(b.N*n), "cpu-ns/delivery")
			b.ReportMetric(float64(b.Elapsed())/float64(b.N*n), "ns/delivery")
		})
	}
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// dialMany returns the server's side of connections whose peers read, below TLS, and ignore what they read.
func dialMany(b *testing.B, n int, secure bool) []net.Conn {
	b.Helper()
	ts := httptest.NewUnstartedServer(nil)
	ts.StartTLS() // for its certificate
	config := ts.TLS.Clone()
	config.NextProtos = nil
	ts.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	conns := make([]net.Conn, n)
	for i := range conns {
		peer, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = peer.Close() })
		nc, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		shaken := make(chan error, 1)
		if secure {
			go func() {
				shaken <- tls.Client(peer, &tls.Config{InsecureSkipVerify: true}).Handshake()
			}()
			server := tls.Server(nc, config)
			if err := server.Handshake(); err != nil {
				b.Fatal(err)
			}
			if err := <-shaken; err != nil {
				b.Fatal(err)
			}
			nc = server
		}
		conns[i] = nc
		go func() { _, _ = io.Copy(io.Discard, peer) }()
	}
	return conns
}
