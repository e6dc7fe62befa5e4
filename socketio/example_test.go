package socketio_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/socketio"
)

// exchange stands in for a client: it joins the root namespace, sends a message, and prints what comes back.
func exchange(io *socketio.Server, message string, answers int) {
	web := httptest.NewServer(io) // in a program: http.Handle("/socket.io/", io)
	defer web.Close()
	defer io.Shutdown(context.Background())
	ctx := context.Background()
	conn, _, err := websocket.Dial(ctx, web.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.CloseNow()
	conn.Write(ctx, websocket.MessageText, []byte(`40{"token":"secret"}`))
	conn.Write(ctx, websocket.MessageText, []byte(message))
	for i := range answers + 2 {
		_, data, err := conn.Read(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		if i >= 2 { // the open packet and CONNECT came first
			fmt.Println(string(data))
		}
	}
}

func Example() {
	io := socketio.NewServer(nil)
	io.OnConnect(func(s *socketio.Socket) { s.Join(s.Context(), "lobby") })
	io.On("say", func(ctx context.Context, s *socketio.Socket, text string) (string, error) {
		if text == "" {
			return "", &socketio.Error{Code: "empty", Message: "say something"}
		}
		if err := io.To("lobby").Emit(ctx, "said", text); err != nil {
			return "", err
		}
		return "ok", nil // the acknowledgement
	})
	exchange(io, `421["say","hello"]`, 2)
	// Unordered output:
	// 42["said","hello"]
	// 431["ok"]
}

func ExampleNamespace_Use() {
	io := socketio.NewServer(nil)
	io.Use(func(ctx context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Auth(&auth); err != nil {
			return err
		}
		if auth.Token != "secret" {
			return &socketio.Error{Code: "unknown_token", Message: "unknown token"}
		}
		s.Set("user", "ann")
		return nil
	})
	io.On("whoami", func(s *socketio.Socket) any { return s.Get("user") })
	exchange(io, `421["whoami"]`, 1)
	// Output: 431["ann"]
}

func ExampleEvent_AckLater() {
	io := socketio.NewServer(nil)
	orders := make(chan func(args ...any) error, 1)
	io.On("order", socketio.EventHandler(func(ctx context.Context, ev *socketio.Event) error {
		orders <- ev.AckLater()
		return nil
	}))
	go func() {
		done := <-orders
		_ = done("delivered") // an error says that the client has gone
	}()
	exchange(io, `421["order"]`, 1)
	// Output: 431["delivered"]
}

func ExampleHandle() {
	type Sum struct{ A, B int }
	io := socketio.NewServer(nil)
	socketio.Handle(io.Namespace, "sum", func(ctx context.Context, s *socketio.Socket, in Sum) (int, error) {
		return in.A + in.B, nil
	})
	exchange(io, `421["sum",{"a":1,"b":2}]`, 1)
	// Output: 431[3]
}

// A client that comes back within two minutes goes on where it was.
func ExampleRecovery() {
	io := socketio.NewServer(&socketio.Options{Recovery: &socketio.Recovery{MaxDisconnection: 2 * time.Minute}})
	io.OnConnect(func(s *socketio.Socket) {
		if s.Recovered() {
			return // its rooms and values are as they were, and what it missed is on its way
		}
		_ = s.Join(s.Context(), "news")
		s.Set("since", time.Now())
	})
	fmt.Println(io.Stats().Recovered)
	// Output: 0
}
