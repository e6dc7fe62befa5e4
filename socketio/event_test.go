package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/peal-dev/peal/socketio"
)

type note struct {
	Title string `json:"title"`
	Body  []byte `json:"body,omitempty"`
	Deep  struct {
		List []any `json:"list"`
	} `json:"deep"`
}

// choosy says itself what is wrong.
type choosy struct{}

func (*choosy) UnmarshalJSON([]byte) error {
	return &socketio.Error{Code: "choosy", Message: "rather not"}
}

// TestHandlers sends one event to handlers of many signatures and checks the acknowledgement.
func TestHandlers(t *testing.T) {
	t.Parallel()
	type ctx = context.Context
	type sock = *socketio.Socket
	const none, internal = `[]`, `[{"error":{"code":"internal","message":"internal error"}}]`
	bad := func(text string) string { return `[{"error":{"code":"bad_argument","message":"` + text + `"}}]` }
	tests := []struct {
		name string
		fn   any
		args string
		want string
	}{
		{"nothing", func() {}, `1,2`, none},
		{"context and socket", func(c ctx, s sock) bool { return c.Err() == nil && s.Connected() }, ``, `[true]`},
		{"only a context", func(c ctx) {}, ``, none},
		{"no results, no error", func() error { return nil }, ``, none},
		{"string", func(s string) string { return s + "!" }, `"é\n<"`, "[\"é\\n<!\"]"},
		{"missing arguments", func(a string, b int, c []byte, d *note, e any) []any { return []any{a, b, c, d, e} }, ``, `[["",0,null,null,null]]`},
		{"surplus arguments", func(a int) int { return a }, `1,2,3`, `[1]`},
		{"two results", func(a, b int) (int, int) { return b, a }, `1,2`, `[2,1]`},
		{"result and no error", func(a int) (int, error) { return a, nil }, `1`, `[1]`},
		{"result and error", func(a int) (int, error) { return a, errors.New("secret") }, `1`, internal},
		{"error for the client", func() error { return &socketio.Error{Code: "no", Message: "not now", Data: 7} }, ``, `[{"error":{"code":"no","message":"not now","data":7}}]`},
		{"wrapped error for the client", func() error { return fmt.Errorf("x: %w", &socketio.Error{Code: "no", Message: "not now"}) }, ``, `[{"error":{"code":"no","message":"not now"}}]`},
		{"error with data that is no JSON", func() error { return &socketio.Error{Code: "no", Message: "m", Data: make(chan int)} }, ``, `[{"error":{"code":"no","message":"m"}}]`},
		{"struct", func(n note) string { return n.Title + fmt.Sprint(n.Deep.List) }, `{"title":"t","deep":{"list":[1,"a"]}}`, `["t[1 a]"]`},
		{"pointer", func(n *note) *note { return n }, `null`, `[null]`},
		{"raw", func(r json.RawMessage) json.RawMessage { return r }, `{"a" : [1]}`, `[{"a" : [1]}]`},
		{"base64", func(b []byte) int { return len(b) }, `"AQID"`, `[3]`},
		{"any", func(v any) any { return v }, `{"a":[1,null]}`, `[{"a":[1,null]}]`},
		{"map", func(m map[string]int) int { return m["a"] }, `{"a":3}`, `[3]`},
		{"time", func(at time.Time) int { return at.Year() }, `"2026-01-02T03:04:05Z"`, `[2026]`},
		{"variadic", func(a string, rest ...int) []int { return rest }, `"a",1,2`, `[[1,2]]`},
		{"variadic, empty", func(rest ...any) int { return len(rest) }, ``, `[0]`},
		{"late ack", func(a int, ack socketio.Ack) error { return ack(a, "late") }, `1`, `[1,"late"]`},
		{"late ack, variadic", func(ack socketio.Ack, args ...any) error { return ack(args...) }, `1,"a"`, `[1,"a"]`},
		{"late ack, error instead", func(socketio.Ack) error { return &socketio.Error{Code: "no", Message: "m"} }, ``, `[{"error":{"code":"no","message":"m"}}]`},
		{"event handler", func(_ ctx, ev *socketio.Event) error { return ev.Ack(ev.Name, ev.Len(), ev.Raw(0), ev.Raw(9)) }, `{}`, `["e",1,{},null]`},
		{"panic", func() { panic("boom") }, ``, internal},
		{"result that is no JSON", func() any { return make(chan int) }, ``, internal},
		{"bad string", func(s string) {}, `5`, bad("argument 0: expected a string")},
		{"bad int", func(a, b int) {}, `1,"x"`, bad("argument 1: expected an integer")},
		{"bad uint", func(a uint) {}, `-1`, bad("argument 0: expected an integer of at least 0")},
		{"bad float", func(a float64) {}, `"x"`, bad("argument 0: expected a number")},
		{"bad bool", func(a bool) {}, `"x"`, bad("argument 0: expected a boolean")},
		{"bad bytes", func(a []byte) {}, `{}`, bad("argument 0: expected binary data")},
		{"bad struct", func(a *note) {}, `[]`, bad("argument 0: expected an object")},
		{"bad list", func(a []int) {}, `{}`, bad("argument 0: expected an array")},
		{"bad element", func(a []int) {}, `[1,"x"]`, bad("argument 0 at /1: expected an integer")},
		{"bad member", func(a note) {}, `{"deep":{"list":7}}`, bad("argument 0 at /deep/list: expected an array")},
		{"bad map", func(a map[string]int) {}, `"x"`, bad("argument 0: expected an object")},
		{"bad time", func(a time.Time) {}, `"noon"`, bad("argument 0: expected a string of another form")},
		{"bad for its own type", func(a choosy) {}, `7`, `[{"error":{"code":"choosy","message":"argument 0: rather not"}}]`},
		{"bad for its own type, deep", func(a []*choosy) {}, `[7]`, `[{"error":{"code":"choosy","message":"argument 0 at /0: rather not"}}]`},
		{"bad variadic", func(a ...int) {}, `1,{}`, bad("argument 1: expected an integer")},
	}
	r := newRig(t, nil, func(io *socketio.Server) {
		for i, tt := range tests {
			io.Of(fmt.Sprint(i)).On("e", tt.fn)
		}
	})
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := (&rig{t: t, io: r.io, http: r.http}).dial()
			ns := fmt.Sprintf("/%d,", i)
			p.join(ns[:len(ns)-1])
			event := `["e",` + tt.args + `]`
			event = strings.ReplaceAll(event, ",]", "]")
			p.send(`42`+ns+event, `42`+ns+`12`+event) // the first without an acknowledgement
			p.want(`43` + ns + `12` + tt.want)
		})
	}
}

// TestAckLater acknowledges when the handler has returned, which is no acknowledgement then.
func TestAckLater(t *testing.T) {
	t.Parallel()
	acks := make(chan socketio.Ack, 4)
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("handler", socketio.EventHandler(func(_ context.Context, ev *socketio.Event) error {
			acks <- ev.AckLater()
			return nil
		}))
		io.On("function", func(ack socketio.Ack) { acks <- ack })
		io.On("failing", func(ack socketio.Ack) error { acks <- ack; return errors.New("no") })
		io.On("forgotten", socketio.EventHandler(func(_ context.Context, ev *socketio.Event) error {
			acks <- ev.Ack
			return nil
		}))
		io.On("sync", func() {})
	})
	p, _ := r.join()
	for _, event := range []string{"handler", "function"} {
		p.send(fmt.Sprintf(`421[%q]`, event), `422["sync"]`)
		p.want(`432[]`) // the handler has returned
		ack := receive(t, acks)
		if err := ack(event); err != nil {
			t.Error(err)
		}
		p.want(fmt.Sprintf(`431[%q]`, event))
		if err := ack("again"); !errors.Is(err, socketio.ErrAcked) {
			t.Error(err)
		}
	}
	p.send(`423["failing"]`, `424["forgotten"]`)
	p.want(`433[{"error":{"code":"internal","message":"internal error"}}]`, `434[]`)
	for range 2 {
		if err := receive(t, acks)("late"); !errors.Is(err, socketio.ErrAcked) {
			t.Error(err)
		}
	}
}

func TestRefusedHandlers(t *testing.T) {
	t.Parallel()
	type sock = *socketio.Socket
	type ctx = context.Context
	io := socketio.NewServer(nil)
	io.On("taken", func() {})
	for _, tt := range []struct {
		event string
		fn    any
		want  string
	}{
		{"e", nil, "nil"},
		{"e", (func())(nil), "nil"},
		{"e", socketio.EventHandler(nil), "nil"},
		{"e", 5, "not a function"},
		{"e", func(int, ctx) {}, "first parameter"},
		{"e", func(int, sock) {}, "before the arguments"},
		{"e", func(sock, ctx) {}, "first parameter"},
		{"e", func(socketio.Ack, int) {}, "last parameter"},
		{"e", func(func(...any)) {}, "socketio.Ack"},
		{"e", func(func(...any) error) {}, "socketio.Ack"},
		{"e", func(func()) {}, "func()"},
		{"e", func(chan int) {}, "chan int"},
		{"e", func(fmt.Stringer) {}, "interface fmt.Stringer"},
		{"e", func(...chan int) {}, "variadic"},
		//lint:ignore ST1008 that the error stands in the wrong place is the point
		{"e", func() (error, int) { return nil, 0 }, "last result"},
		{"e", func() chan int { return nil }, "chan int"},
		{"e", func(socketio.Ack) int { return 0 }, "twice"},
		{"connection", func(sock) {}, "use OnConnect"},
		{"connect", func(sock) {}, "use OnConnect"},
		{"disconnect", func() {}, "use OnDisconnect"},
		{"disconnecting", func() {}, "use OnDisconnecting"},
		{"connect_error", func() {}, "Use"},
		{"error", func() {}, "return their errors"},
		{"new_namespace", func() {}, "made by Of"},
		{"newListener", func() {}, "reserved"},
		{"taken", func() {}, "already"},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, tt.want) || !strings.HasPrefix(got, "socketio: On(") {
					t.Errorf("On(%q, %T) panics with %q, want %q in it", tt.event, tt.fn, got, tt.want)
				}
			}()
			io.On(tt.event, tt.fn)
		}()
	}
}

func TestTypedHandle(t *testing.T) {
	t.Parallel()
	type sum struct{ A, B int }
	r := newRig(t, nil, func(io *socketio.Server) {
		socketio.Handle(io.Namespace, "sum", func(_ context.Context, _ *socketio.Socket, s sum) (int, error) {
			if s.B < 0 {
				return 0, &socketio.Error{Code: "negative", Message: "b is negative"}
			}
			return s.A + s.B, nil
		})
		socketio.Handle(io.Namespace, "none", func(context.Context, *socketio.Socket, struct{}) (struct{}, error) {
			return struct{}{}, nil
		})
	})
	p, _ := r.join()
	p.send(`421["sum",{"a":1,"b":2}]`, `422["sum",{"b":-1}]`, `423["sum","x"]`, `424["sum"]`, `425["none",1]`, `42["sum",{}]`)
	p.want(`431[3]`, `432[{"error":{"code":"negative","message":"b is negative"}}]`,
		`433[{"error":{"code":"bad_argument","message":"argument 0: expected an object"}}]`,
		`434[0]`, `435[]`)
}

func TestSocketHandlers(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("who", func() string { return "namespace" })
		io.On("own", func(s *socketio.Socket) {
			s.On("who", func() string { return "first" })
			s.On("who", func() string { return "socket" })
		})
		io.On("off", func(s *socketio.Socket) { s.On("who", nil) })
	})
	p, _ := r.join()
	p.send(`421["who"]`, `42["own"]`, `422["who"]`, `42["off"]`, `423["who"]`)
	p.want(`431["namespace"]`, `432["socket"]`, `433["namespace"]`)
}

func TestEventMiddleware(t *testing.T) {
	t.Parallel()
	var seen atomic.Value
	seen.Store("")
	note := func(s string) { seen.Store(seen.Load().(string) + s + " ") }
	r := newRig(t, nil, func(io *socketio.Server) {
		wrap := func(name string) func(socketio.EventHandler) socketio.EventHandler {
			return func(next socketio.EventHandler) socketio.EventHandler {
				return func(ctx context.Context, ev *socketio.Event) error {
					note(name)
					if ev.Name == "drop" {
						return nil
					}
					if ev.Name == "refuse" {
						return &socketio.Error{Code: "refused", Message: "by " + name}
					}
					return next(ctx, ev)
				}
			}
		}
		io.UseEvent(wrap("outer"))
		io.UseEvent(wrap("inner"))
		io.UseEvent(func(next socketio.EventHandler) socketio.EventHandler {
			return func(ctx context.Context, ev *socketio.Event) error {
				if ev.Name == "double" {
					var n int
					if err := ev.Arg(0, &n); err != nil {
						return err
					}
					if err := ev.SetArgs(2 * n); err != nil {
						return err
					}
				}
				return next(ctx, ev)
			}
		})
		io.OnAny(func(ev *socketio.Event) { note("any:" + ev.Name) })
		io.On("double", func(n int) int { note("handler"); return n })
		io.On("seen", func() string { return seen.Load().(string) })
	})
	p, _ := r.join()
	p.send(`421["double",4]`, `422["refuse"]`, `423["drop"]`, `424["seen"]`)
	p.want(`431[8]`, `432[{"error":{"code":"refused","message":"by outer"}}]`,
		`434["any:double outer inner handler any:refuse outer any:drop outer any:seen outer inner "]`)
}

func TestBinary(t *testing.T) {
	t.Parallel()
	got := make(chan note, 1)
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("save", func(s *socketio.Socket, n note) note {
			got <- n
			if err := s.Emit(s.Context(), "saved", []byte{9}, map[string]any{"again": n.Body}); err != nil {
				t.Error(err)
			}
			return n
		})
		io.On("many", func(s *socketio.Socket) string {
			args := make([]any, 11)
			for i := range args {
				args[i] = []byte{1}
			}
			return fmt.Sprint(s.Emit(s.Context(), "many", args...))
		})
	})
	p, _ := r.join()
	p.send(`452-7["save",{"title":"t","body":{"_placeholder":true,"num":0},"deep":{"list":[{"_placeholder":true,"num":1}]}}]`)
	p.sendBinary(1, 2)
	p.sendBinary(3)
	want := note{Title: "t", Body: []byte{1, 2}}
	want.Deep.List = []any{[]byte{3}}
	if n := receive(t, got); !reflect.DeepEqual(n, want) {
		t.Errorf("got %+v", n)
	}
	p.want(`452-["saved",{"_placeholder":true,"num":0},{"again":{"_placeholder":true,"num":1}}]`, "b:09", "b:0102",
		`462-7[{"title":"t","body":{"_placeholder":true,"num":0},"deep":{"list":[{"_placeholder":true,"num":1}]}}]`, "b:0102", "b:03")
	p.send(`421["many"]`)
	p.want(`431["socketio: event \"many\": 11 binary values, the limit is 10"]`)
}
