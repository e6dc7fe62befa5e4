package socketio_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// TestChurn has clients come, join, talk and go by every way there is, while the server broadcasts, asks and
// disconnects. Nothing may be left of them.
func TestChurn(t *testing.T) {
	t.Parallel()
	const workers, rounds = 8, 12
	var balance sync.Map // socket id → connected and not yet disconnected
	r := newRig(t, nil, func(io *socketio.Server) {
		for _, ns := range []*socketio.Namespace{io.Namespace, io.Of("/b")} {
			ns.Use(func(ctx context.Context, s *socketio.Socket) error { return s.Join(ctx, "all") })
			ns.OnConnect(func(s *socketio.Socket) { balance.Store(s.ID(), true) })
			ns.OnDisconnect(func(s *socketio.Socket, _ socketio.Reason) {
				if _, ok := balance.LoadAndDelete(s.ID()); !ok {
					t.Errorf("OnDisconnect without OnConnect, or twice, for %s", s.ID())
				}
			})
			ns.On("hello", func(ctx context.Context, s *socketio.Socket, n int) (int, error) {
				return n, s.To("all").Emit(ctx, "hello", n)
			})
		}
	})
	ctx, stop := context.WithCancel(deadline(t))
	var server, clients sync.WaitGroup
	server.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := r.io.To("all").Emit(ctx, "tick", i); err != nil {
				t.Error(err)
			}
			ask, cancel := context.WithCancel(ctx)
			cancel()
			_, _ = r.io.Of("/b").Local().EmitWithAck(ask, "q") // nobody answers: the context is over
			if i%16 == 0 {
				for s := range r.io.Sockets() {
					s.Disconnect(s.Context(), i%32 == 0)
					break
				}
			}
		}
	})
	for w := range workers {
		clients.Go(func() {
			for i := range rounds {
				p := r.dial()
				for _, text := range []string{`40`, `40/b,`, `421["hello",1]`, `42/b,1["hello",2]`} {
					_ = p.conn.Write(p.ctx, 1, []byte(text)) // the server may have hung up
				}
				for range 3 {
					_, _ = p.next()
				}
				switch (w + i) % 3 {
				case 0:
					_ = p.conn.Write(p.ctx, 1, []byte(`41`))
				case 1:
					_ = p.conn.Write(p.ctx, 1, []byte(fmt.Sprintf(`42["%s`, "cut off")))
				}
				p.close()
			}
		})
	}
	clients.Wait()
	stop()
	server.Wait()
	if err := r.io.Shutdown(deadline(t)); err != nil {
		t.Fatal(err)
	}
	balance.Range(func(id, _ any) bool {
		t.Errorf("OnConnect without OnDisconnect for %v", id)
		return true
	})
	for _, ns := range r.io.Namespaces() {
		if ns.Adapter().Len() != 0 || len(ns.Adapter().Rooms()) != 0 {
			t.Errorf("%s: members %d, rooms %q", ns.Name(), ns.Adapter().Len(), ns.Adapter().Rooms())
		}
	}
	if st := r.io.Stats(); st.Sockets != 0 || st.HandlerPanics != 0 {
		t.Errorf("stats %+v", st)
	}
}
