package engineio_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/peal-dev/peal/engineio"
)

// shout answers every message in capitals.
type shout struct{ session *engineio.Session }

func (s shout) Message(m engineio.Message) {
	answer := engineio.Message{Data: append(append([]byte(nil), m.Data...), '!')}
	_ = s.session.Send(engineio.Prepare(answer), 0)
}

func (s shout) Close(reason engineio.Reason, _ error) { fmt.Println("closed:", reason) }

func Example() {
	server := engineio.NewServer(engineio.HandlerFunc(func(s *engineio.Session) engineio.Receiver {
		return shout{s}
	}), nil)
	ts := httptest.NewServer(server)
	defer ts.Close()

	resp, err := http.Get(ts.URL + "/engine.io/?EIO=4&transport=polling")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%.8s\n", body)

	_ = server.Shutdown(context.Background())
	// Output:
	// 0{"sid":
	// closed: server shutting down
}
