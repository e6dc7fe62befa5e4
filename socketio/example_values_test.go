package socketio_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/socketio"
)

// User is what the program below keeps with a socket.
type User struct{ Name, Role string }

const userKey socketio.Key[User] = "user"

// A value has its type wherever it is read, on the node of the socket and, through JSON, on every other.
func ExampleKey() {
	here, there, end := twoNodes()
	defer end()
	there.Use(func(_ context.Context, s *socketio.Socket) error {
		userKey.Set(s, User{"Ann", "admin"})
		return nil
	})
	there.OnConnect(func(s *socketio.Socket) {
		fmt.Println("here is", userKey.Get(s).Name)
		for key, value := range s.Data() {
			fmt.Printf("kept as %s: %+v\n", key, value)
		}
	})
	defer clients(there, "[]")()
	sockets, err := here.FetchSockets(context.Background())
	if err != nil {
		fmt.Println(err)
	}
	for _, s := range sockets {
		if user, known := userKey.Lookup(s); known {
			fmt.Println("elsewhere is", user.Name, "who is", user.Role)
		}
	}
	// Output:
	// here is Ann
	// kept as user: {Name:Ann Role:admin}
	// elsewhere is Ann who is admin
}

func ExampleCallAll() {
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	defer clients(io, `["yes"]`, `["no"]`, `["yes"]`, `[{"error":{"code":"abstains","message":"no opinion"}}]`)()

	votes, err := socketio.CallAll[string](context.Background(), io.Broadcast(), "agreed?")
	if err != nil {
		fmt.Println(len(votes.Missing), "did not vote:", err)
	}
	all := votes.Values()
	slices.Sort(all)
	fmt.Println(all)
	for _, vote := range votes.Answers {
		if vote.Err != nil {
			fmt.Println(vote.Err)
		}
	}
	// Output:
	// [no yes yes]
	// abstains: no opinion
}

// What every event has in common is a middleware's, whatever its arguments are.
func ExampleArg() {
	io := socketio.NewServer(nil)
	io.UseEvent(func(next socketio.EventHandler) socketio.EventHandler {
		return func(ctx context.Context, ev *socketio.Event) error {
			room, err := socketio.Arg[string](ev, 0)
			if err != nil {
				return err // tells the client that argument 0 should be a string
			}
			if strings.HasPrefix(room, "private:") {
				return &socketio.Error{Code: "forbidden", Message: room + " is not for you"}
			}
			return next(ctx, ev)
		}
	})
	io.On("join", func(ctx context.Context, s *socketio.Socket, room string) error { return s.Join(ctx, room) })
	exchange(io, `421["join","private:board"]`, 1)
	// Output: 431[{"error":{"code":"forbidden","message":"private:board is not for you"}}]
}

func ExampleEvent_Args() {
	io := socketio.NewServer(nil)
	io.OnAny(func(ev *socketio.Event) {
		args, err := ev.Args()
		if err != nil {
			return
		}
		fmt.Println(ev.Name, args)
		_ = ev.Socket.Emit(ev.Socket.Context(), ev.Name, args...)
	})
	exchange(io, `42["move",{"x":1,"y":2.5},"fast"]`, 1)
	// Output:
	// move [map[x:1 y:2.5] fast]
	// 42["move",{"x":1,"y":2.5},"fast"]
}

func ExampleEvent_Decode() {
	io := socketio.NewServer(nil)
	io.On("move", socketio.EventHandler(func(_ context.Context, ev *socketio.Event) error {
		var (
			to  struct{ X, Y float64 }
			how string
		)
		if err := ev.Decode(&to, &how); err != nil {
			return err
		}
		return ev.Ack(fmt.Sprintf("%s to %g, %g", how, to.X, to.Y))
	}))
	exchange(io, `421["move",{"x":1,"y":2.5},"fast"]`, 1)
	// Output: 431["fast to 1, 2.5"]
}

// clients stand in for clients of io's root namespace, of which each gives its answer to every event. They have joined
// when it returns.
func clients(io *socketio.Server, answers ...string) (end func()) {
	ctx := context.Background()
	web := httptest.NewServer(io)
	var conns []*websocket.Conn
	for _, answer := range answers {
		conn, _, err := websocket.Dial(ctx, web.URL+"/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			fmt.Println(err)
			continue
		}
		conns = append(conns, conn)
		conn.Write(ctx, websocket.MessageText, []byte("40"))
		conn.Read(ctx) // the open packet
		conn.Read(ctx) // CONNECT
		go func() {
			for {
				_, data, err := conn.Read(ctx)
				if err != nil {
					return
				}
				if id, _, ok := strings.Cut(strings.TrimPrefix(string(data), "42"), "["); ok && id != "" {
					conn.Write(ctx, websocket.MessageText, []byte("43"+id+answer))
				}
			}
		}()
	}
	return func() {
		for _, conn := range conns {
			conn.CloseNow()
		}
		web.Close()
	}
}
