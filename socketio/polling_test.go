package socketio_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// poller is a raw client that polls.
type poller struct {
	t    testing.TB
	url  string
	http *http.Client
}

// poll opens a session by polling, without joining a namespace.
func (r *rig) poll() *poller {
	r.t.Helper()
	p := &poller{t: r.t, url: r.http.URL + "/socket.io/?EIO=4&transport=polling", http: r.http.Client()}
	_, sid, _ := strings.Cut(p.do(http.MethodGet, ""), `"sid":"`)
	p.url += "&sid=" + sid[:strings.IndexByte(sid, '"')]
	return p
}

func (p *poller) do(method, body string) string {
	p.t.Helper()
	text, err := p.try(method, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

func (p *poller) try(method, body string) (string, error) {
	req, err := http.NewRequestWithContext(deadline(p.t), method, p.url, bytes.NewBufferString(body))
	if err != nil {
		return "", err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return string(text), err
}

// post sends packets.
func (p *poller) post(packets ...string) {
	p.t.Helper()
	p.do(http.MethodPost, strings.Join(packets, "\x1e"))
}

// get polls once and returns the packets.
func (p *poller) get() []string {
	p.t.Helper()
	return strings.Split(p.do(http.MethodGet, ""), "\x1e")
}
