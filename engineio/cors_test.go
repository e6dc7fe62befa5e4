package engineio_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/peal-dev/peal/engineio"
)

// handshake asks for a WebSocket, and fails with 400 where it may have one, so that there is an answer to read.
var handshake = []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "short"}

// One policy for every request of every transport: what a page of another site sends neither opens a session nor reaches
// one that it knows the id of.
func TestPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	const allowed = "https://app.example"
	f := start(t, &engineio.Options{JSONP: true, CORS: &engineio.CORS{AllowOrigins: []string{allowed}}})
	own := strings.TrimSuffix(f.url, "/engine.io/")
	for _, page := range []struct {
		name    string
		headers []string
		allowed bool
	}{
		{"none", nil, true},
		{"its own", []string{"Origin", own}, true},
		{"its own, a GET", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"allowed", []string{"Origin", allowed, "Sec-Fetch-Site", "cross-site"}, true},
		{"allowed, a script", []string{"Referer", allowed + "/page", "Sec-Fetch-Site", "cross-site"}, true},
		{"another", []string{"Origin", "https://evil.example"}, false},
		{"another that says so", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, false},
		{"another port", []string{"Origin", "http://127.0.0.1"}, false},
		{"a sandbox or a form without referrer", []string{"Origin", "null"}, false},
		{"another, a script", []string{"Sec-Fetch-Site", "cross-site", "Referer", "https://evil.example/"}, false},
		{"another, a script without referrer", []string{"Sec-Fetch-Site", "cross-site"}, false},
	} {
		sid := func() string { // of a session that its owner has opened
			f.do("GET", "EIO=4&transport=polling", "")
			return "&sid=" + receive(t, f.sessions).ID()
		}
		jsonp := func() string {
			f.do("GET", "EIO=4&transport=polling&j=0", "")
			return "&j=1&sid=" + receive(t, f.sessions).ID()
		}
		for _, request := range []struct {
			method, query, body string
			sid                 func() string
			headers             []string
		}{
			{"GET", "EIO=4&transport=polling", "", nil, nil},
			{"GET", "EIO=4&transport=polling&j=0", "", nil, nil},
			{"GET", "EIO=4&transport=websocket", "", nil, handshake},
			{"POST", "EIO=4&transport=polling", "4forged", sid, []string{"Content-Type", "text/plain"}},
			{"POST", "EIO=4&transport=polling", "d=4forged", jsonp, []string{"Content-Type", "application/x-www-form-urlencoded"}},
			{"GET", "EIO=4&transport=websocket", "", sid, handshake},
		} {
			query := request.query
			if request.sid != nil {
				query += request.sid()
			}
			before := f.server.Len()
			a := f.do(request.method, query, request.body, slices.Concat(request.headers, page.headers)...)
			if opened := f.server.Len() - before; page.allowed != (a.status != http.StatusForbidden) || !page.allowed && opened > 0 {
				t.Errorf("%s page: %s %s: %d %q, %d opened", page.name, request.method, request.query, a.status, a.body, opened)
			} else if opened > 0 {
				receive(t, f.sessions)
			}
			if cors := a.header.Get("Access-Control-Allow-Origin"); cors != "" && cors != allowed {
				t.Errorf("%s page: %s %s may read the answer: %s", page.name, request.method, request.query, cors)
			}
			if request.body == "" {
				continue
			}
			if page.allowed {
				if m := receive(t, f.messages); string(m.Data) != "forged" {
					t.Errorf("%s page: got %q", page.name, m.Data)
				}
			} else if len(f.messages) > 0 {
				t.Errorf("%s page: %q arrived", page.name, (<-f.messages).Data)
			}
		}
		// A poll parks, so what is to be read must be there before.
		f.do("GET", "EIO=4&transport=polling", "")
		session := receive(t, f.sessions)
		if err := session.Send(engineio.Prepare(engineio.Message{Data: []byte("secret")}), 0); err != nil {
			t.Fatal(err)
		}
		if a := f.do("GET", "EIO=4&transport=polling&sid="+session.ID(), "", page.headers...); strings.Contains(a.body, "secret") != page.allowed {
			t.Errorf("%s page polls %d %q", page.name, a.status, a.body)
		}
	}
}

// A script element's answer is the page's, so there is none unless it is asked for.
func TestJSONPIsOff(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{CORS: &engineio.CORS{AllowOrigins: []string{"*"}}})
	for _, j := range []string{"j=0", "j=", "j", "%6a=1"} {
		if a := f.do("GET", "EIO=4&transport=polling&"+j, ""); a.status != http.StatusForbidden || f.server.Len() != 0 {
			t.Errorf("%s: %d %s", j, a.status, a.body)
		}
	}
	p := f.openPolling()
	p.post("4hello")
	a := f.do("GET", p.query+"&j=0", "")
	if a.body != "4hello" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a poll that became a script: %q %v", a.body, a.header)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	f := start(t, &engineio.Options{CORS: &engineio.CORS{AllowOrigins: []string{"https://A.example:443"}, AllowCredentials: true}})
	for method, want := range map[string]string{"GET": "https://a.example", "POST": "https://a.example", "DELETE": "", "PUT": ""} {
		a := f.do("OPTIONS", "EIO=4&transport=polling", "", "Origin", "https://a.example",
			"Access-Control-Request-Headers", "x-token", "Access-Control-Request-Method", method)
		if h := a.header; a.status != 204 || h.Get("Access-Control-Allow-Origin") != want || want != "" && (h.Get("Access-Control-Allow-Credentials") != "true" ||
			h.Get("Access-Control-Allow-Methods") != method || h.Get("Access-Control-Allow-Headers") != "x-token") {
			t.Errorf("preflight of %s: %d %v", method, a.status, h)
		}
	}
	if h := f.do("GET", "EIO=4", "", "Origin", "https://a.example").header; h.Get("Access-Control-Allow-Origin") != "https://a.example" {
		t.Errorf("errors need CORS headers too: %v", h)
	}
	open := start(t, &engineio.Options{CORS: &engineio.CORS{AllowOrigins: []string{"*"}}})
	if h := open.do("GET", "EIO=4&transport=polling", "", "Origin", "https://b.example").header; h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("any origin: %v", h)
	}
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "app.example") {
			t.Errorf("a policy that is not valid: %v", text)
		}
	}()
	engineio.NewServer(newEcho(), &engineio.Options{CORS: &engineio.CORS{AllowOrigins: []string{"app.example"}}})
}
