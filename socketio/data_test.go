package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

func TestKey(t *testing.T) {
	t.Parallel()
	type profile struct {
		Name string
		Age  int
	}
	const (
		key    socketio.Key[profile]  = "profile"
		other  socketio.Key[int]      = "profile" // the same values seen as another type
		ptr    socketio.Key[*profile] = "pointer"
		shape  socketio.Key[any]      = "shape"
		none   socketio.Key[string]   = "none"
		opaque socketio.Key[chan int] = "channel"
	)
	_, rigs := clusterOf(t, 2, nil)
	_, s := rigs[0].socket()
	if v, ok := key.Lookup(s); ok || v != (profile{}) {
		t.Error("a value from nowhere")
	}
	ann := profile{"Ann", 30}
	key.Set(s, ann)
	ptr.Set(s, &profile{Name: "Bob"})
	shape.Set(s, []int{1})
	opaque.Set(s, make(chan int))
	none.Set(s, "there")
	none.Delete(s)
	data := maps.Collect(s.Data())
	if len(data) != 4 || data["profile"] != ann {
		t.Errorf("listed %v", data)
	}
	for key := range s.Data() {
		if key != "profile" {
			t.Errorf("%q is the first", key)
		}
		s.Set("later", 1) // the list is a snapshot
		break
	}
	sockets, err := rigs[1].io.To(s.ID()).FetchSockets(deadline(t))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("%d sockets, %v", len(sockets), err)
	}
	for name, from := range map[string]socketio.Keeper{"socket": s, "remote": sockets[0]} {
		if v, ok := key.Lookup(from); !ok || v != ann || key.Get(from) != ann {
			t.Errorf("%s: %+v, %v", name, v, ok)
		}
		if v, ok := other.Lookup(from); ok || v != 0 {
			t.Errorf("%s: as another type: %v, %v", name, v, ok)
		}
		if v := ptr.Get(from); v == nil || v.Name != "Bob" {
			t.Errorf("%s: %+v", name, v)
		}
		if v := fmt.Sprint(shape.Get(from)); v != "[1]" {
			t.Errorf("%s: %s", name, v)
		}
		if v, ok := none.Lookup(from); ok || v != "" {
			t.Errorf("%s: deleted, but %q", name, v)
		}
	}
	if v, ok := opaque.Lookup(sockets[0]); ok || v != nil {
		t.Error("a channel came through JSON")
	}
	if _, ok := opaque.Lookup(s); !ok {
		t.Error("no channel")
	}
	// A Node.js node may have anything for its data.
	for _, raw := range []string{"", "null", "[]", `"text"`, `{"profile":{"Name":1}}`, `{"profile":null}`} {
		if v := key.Get(&socketio.RemoteSocket{Data: []byte(raw)}); v != (profile{}) {
			t.Errorf("%q: %+v", raw, v)
		}
	}
}

// TestArguments reads the arguments of one event in all ways.
func TestArguments(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, func(io *socketio.Server) {
		io.On("all", socketio.EventHandler(func(ctx context.Context, ev *socketio.Event) error {
			args, err := ev.Args()
			if err != nil {
				return err
			}
			return ev.Ack(args...)
		}))
		io.On("two", socketio.EventHandler(func(ctx context.Context, ev *socketio.Event) error {
			text, number, third := "", 0, "kept"
			if err := ev.Decode(&text, &number, &third); err != nil {
				return err
			}
			return ev.Ack(text, number, third)
		}))
		io.On("second", socketio.EventHandler(func(ctx context.Context, ev *socketio.Event) error {
			n, err := socketio.Arg[int](ev, 1)
			if err != nil && n != 0 {
				t.Errorf("%d beside %v", n, err)
			}
			return errors.Join(err, ev.Ack(n))
		}))
	})
	p, _ := r.join()
	for _, c := range [][2]string{
		{`420["all",1,"x",null,{"a":[true]}]`, `430[1,"x",null,{"a":[true]}]`},
		{`420["all"]`, `430[]`},
		{`420["all",1,1e999]`, `430[{"error":{"code":"bad_argument","message":"argument 1: expected a value of another form"}}]`},
		{`420["two","x"]`, `430["x",0,"kept"]`},
		{`420["two","x",2,"y",3]`, `430["x",2,"y"]`},
		{`420["two","x","y"]`, `430[{"error":{"code":"bad_argument","message":"argument 1: expected an integer"}}]`},
		{`420["second",1,2]`, `430[2]`},
		{`420["second"]`, `430[0]`},
	} {
		p.send(c[0])
		p.want(c[1])
	}
	p.send(`451-0["all",{"_placeholder":true,"num":0}]`)
	p.sendBinary(7, 8)
	p.want(`461-0[{"_placeholder":true,"num":0}]`, "b:0708")
}

// TestCallAll asks clients of three nodes, of which one refuses, one answers nonsense and one goes away; and then one that
// is silent.
func TestCallAll(t *testing.T) {
	t.Parallel()
	_, rigs := clusterOf(t, 3, nil)
	answers := []string{`[1]`, `["one"]`, `[{"error":{"code":"busy","message":"later"}}]`, `[4,"more"]`, `[]`, "gone"}
	var ids []string
	for i, answer := range answers {
		p, id := rigs[i%3].join()
		ids = append(ids, id)
		go func() {
			id := p.read()[2:3]
			if answer == "gone" {
				p.close()
				return
			}
			p.send("43" + id + answer)
		}()
	}
	got, err := socketio.CallAll[int](deadline(t), rigs[1].io.Broadcast(), "q")
	if err != nil || len(got.Answers) != 5 || !slices.Equal(got.Gone, ids[5:]) || len(got.Missing)+got.MissingRemote+len(got.MissingNodes) > 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, a := range got.Answers {
		var refusal *socketio.Error
		switch i := slices.Index(ids, a.Socket); {
		case i == 1 && a.Err != nil && !errors.As(a.Err, &refusal) && a.Value == 0:
		case i == 2 && errors.As(a.Err, &refusal) && refusal.Code == "busy" && a.Value == 0:
		case (i == 0 || i == 3 || i == 4) && a.Err == nil && a.Value == []int{0: 1, 3: 4, 4: 0}[i]:
		default:
			t.Errorf("client %d: %+v", i, a)
		}
	}
	values := got.Values()
	if slices.Sort(values); !slices.Equal(values, []int{0, 1, 4}) {
		t.Errorf("values %v", values)
	}

	ctx, cancel := context.WithCancel(deadline(t))
	p, id := rigs[1].join()
	go func() {
		p.read()
		cancel()
	}()
	got, err = socketio.CallAll[int](ctx, rigs[1].io.To(id), "q")
	if !errors.Is(err, context.Canceled) || len(got.Answers) != 0 || !slices.Equal(got.Missing, []string{id}) {
		t.Errorf("%+v, %v", got, err)
	}
}
