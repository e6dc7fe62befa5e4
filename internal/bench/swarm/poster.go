package swarm

import (
	"bytes"
	"fmt"

	"github.com/peal-dev/peal/internal/bench/evloop"
)

// poster is a client whose owner sends whole HTTP requests, one behind the other; it sees that they succeed.
type poster struct{ polling }

// Connected implements evloop.Handler.
func (o *poster) Connected(conn *evloop.Conn) {
	o.conn = conn
	o.becomeReady()
}

// Data implements evloop.Handler.
func (o *poster) Data(_ *evloop.Conn, p []byte) (consumed int, err error) {
	for {
		n, done, err := o.response(p[consumed:])
		consumed += n
		if err != nil || n == 0 {
			return consumed, err
		}
		if done && bytes.Contains(o.body, []byte(`"error":`)) { // as some APIs say it, with status 200
			return consumed, fmt.Errorf("the server refused a publication: %.200q", o.body)
		}
	}
}
