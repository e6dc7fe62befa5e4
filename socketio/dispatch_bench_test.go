package socketio_test

import (
	"context"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// BenchmarkEvent measures an event and its acknowledgement over a real connection.
func BenchmarkEvent(b *testing.B) {
	type point struct{ X, Y int }
	for name, register := range map[string]func(io *socketio.Server){
		"On": func(io *socketio.Server) { io.On("e", func(p point) int { return p.X + p.Y }) },
		"Handle": func(io *socketio.Server) {
			socketio.Handle(io.Namespace, "e", func(_ context.Context, _ *socketio.Socket, p point) (int, error) { return p.X + p.Y, nil })
		},
		"EventHandler": func(io *socketio.Server) {
			io.On("e", func(_ context.Context, ev *socketio.Event) error { return ev.Ack(ev.Raw(0)) })
		},
	} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, nil, register)
			p, _ := r.join()
			b.ReportAllocs()
			for b.Loop() {
				p.send(`421["e",{"x":1,"y":2}]`)
				p.read()
			}
		})
	}
}
