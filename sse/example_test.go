package sse_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/sse"
)

// A page listens with new EventSource("/events?room=news").
func Example() {
	ctx := context.Background()
	// With Socket.IO in the same program this is io.Of("/").Adapter().
	rooms, err := adapter.New(ctx, "/", nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	events := sse.NewHandler(func(r *http.Request) (sse.Subscription, error) {
		room := r.FormValue("room")
		if room == "" {
			return sse.Subscription{}, &sse.Error{Code: "no_room", Message: "say which room: ?room=news"}
		}
		return sse.Subscription{Adapter: rooms, Rooms: []string{room}}, nil
	}, nil)
	server := httptest.NewServer(events)
	defer server.Close()

	res, err := http.Get(server.URL + "?room=news")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	m := message.New([]byte(`["headline","It rings",{"at":12}]`))
	if err := rooms.Broadcast(ctx, m, message.Target{Rooms: []string{"news"}}); err != nil {
		fmt.Println(err)
		return
	}
	event, err := sse.NewReader(res.Body).Next()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.Name, event.Data)
	if err := events.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: headline ["It rings",{"at":12}]
}
