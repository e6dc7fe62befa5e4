package front_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peal-dev/peal/internal/front"
	"github.com/peal-dev/peal/internal/netconn"
)

// BenchmarkTakeover connects, has the connection taken over, and says goodbye. The processor's time is that of both sides.
func BenchmarkTakeover(b *testing.B) {
	loop := new(netconn.Loop)
	defer loop.Close()
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, buffered, err := loop.Takeover(w, 0)
		if err != nil {
			b.Error(err)
			return
		}
		c.Finish([]byte("hello"))
		c.Start(echoing{}, buffered)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	listener := front.New(l, server, -1)
	go func() { served <- server.Serve(listener) }()
	head := fmt.Appendf(nil, upgradeHead, "/")
	p := make([]byte, 16)
	b.ReportAllocs()
	begin := processorTime()
	for b.Loop() {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		_, _ = nc.Write(head)
		if n, err := io.ReadFull(nc, p[:5]); n != 5 {
			b.Fatal(err)
		}
		_ = nc.Close()
	}
	b.ReportMetric(float64(processorTime()-begin)/float64(b.N), "cpu-ns/op")
	_ = server.Close()
	<-served
}

func processorTime() int64 {
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}
