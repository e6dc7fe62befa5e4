package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/zishang520/socket.io/servers/socket/v3"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "zishang:", err)
		os.Exit(1)
	}
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	io := socket.NewServer(nil, nil)
	err = io.On("connection", func(clients ...any) {
		if err := handle(io, clients[0].(*socket.Socket)); err != nil {
			fmt.Fprintln(os.Stderr, "zishang:", err)
		}
	})
	if err != nil {
		return fmt.Errorf("on connection: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io.ServeHandler(nil))
	fmt.Printf("listening on %s\n", listener.Addr())
	server := http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

// handle answers the events of the dialect "handlers".
func handle(io *socket.Server, s *socket.Socket) error {
	for event, handler := range map[string]func(args []any, ack socket.Ack){
		"broadcast": func(args []any, _ socket.Ack) { io.Emit("broadcast", args[0]) },
		"echo":      func(args []any, ack socket.Ack) { ack(args[:1], nil) },
		"join": func(args []any, ack socket.Ack) {
			for _, room := range args {
				s.Join(socket.Room(room.(string)))
			}
			ack(nil, nil)
		},
		"publish": func(args []any, _ socket.Ack) {
			if err := io.To(socket.Room(args[0].(string))).Emit("broadcast", args[1]); err != nil {
				fmt.Fprintln(os.Stderr, "zishang:", err)
			}
		},
	} {
		err := s.On(event, func(args ...any) {
			ack, asked := args[len(args)-1].(socket.Ack)
			if asked {
				args = args[:len(args)-1]
			}
			handler(args, ack)
		})
		if err != nil {
			return fmt.Errorf("on %s: %w", event, err)
		}
	}
	return nil
}
