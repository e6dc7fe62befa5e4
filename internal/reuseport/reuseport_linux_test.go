package reuseport_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/peal-dev/peal/internal/reuseport"
)

// An address that is reserved is for those who share it, and all connections go to them.
func TestReserve(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		bound, release, err := reuseport.Reserve(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := net.Listen("tcp", bound); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("somebody else listens on %s: %v, %v", bound, l, err)
		}
		config := net.ListenConfig{Control: reuseport.Control}
		accepted := make(chan int, 100)
		for i := range 2 {
			l, err := config.Listen(t.Context(), "tcp", bound)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			go func() { // ends with the listener
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_ = conn.Close()
					accepted <- i
				}
			}()
		}
		_, port, err := net.SplitHostPort(bound)
		if err != nil {
			t.Fatal(err)
		}
		host := "127.0.0.1"
		if address == "[::1]:0" {
			host = "::1"
		}
		counts := [2]int{}
		for range 100 {
			conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			counts[<-accepted]++
			_ = conn.Close()
		}
		if counts[0] == 0 || counts[1] == 0 {
			t.Errorf("%s: shared out as %v", address, counts)
		}
		release()
	}
	if _, _, err := reuseport.Reserve(t.Context(), "127.0.0.1:x"); err == nil {
		t.Error("reserved nonsense")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, _, err := reuseport.Reserve(t.Context(), l.Addr().String()); err == nil {
		t.Error("reserved what somebody has")
	}
}
