// Command chat is a whole chat server: a room that browsers join over Socket.IO, and that anything which can read an
// HTTP response follows as Server-Sent Events.
//
//	go run ./examples/chat
package main

import (
	"context"
	_ "embed"
	"flag"
	"log"
	"net/http"

	"github.com/peal-dev/peal/socketio"
	"github.com/peal-dev/peal/sse"
)

//go:embed index.html
var page []byte

// chat returns the server: the page, its Socket.IO endpoint, and the same room as an event stream.
func chat() (*socketio.Server, *sse.Handler, http.Handler) {
	io := socketio.NewServer(nil)
	io.OnConnect(func(s *socketio.Socket) { s.Join(s.Context(), "lobby") })
	io.On("chat", func(ctx context.Context, name, text string) error {
		return io.To("lobby").Emit(ctx, "chat", name, text) // to everyone in the room, on every node
	})
	lobby := sse.NewHandler(func(*http.Request) (sse.Subscription, error) {
		return sse.Subscription{Adapter: io.Adapter(), Rooms: []string{"lobby"}}, nil
	}, nil)

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("GET /events", lobby)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })
	return io, lobby, mux
}

func main() {
	addr := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	_, _, handler := chat()
	log.Printf("chat on http://%s", *addr)
	log.Fatal(http.ListenAndServe(*addr, handler))
}
