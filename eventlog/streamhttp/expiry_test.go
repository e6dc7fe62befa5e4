package streamhttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peal-dev/peal/eventlog/memlog"
	"github.com/peal-dev/peal/eventlog/streamhttp"
)

// Streams whose time is over go though nobody asks for them, and what they had goes too, once no fork needs it.
func TestExpiredStreamsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memlog.New()
		h, err := streamhttp.New(t.Context(), store, nil)
		if err != nil {
			t.Fatal(err)
		}
		do := func(method, name string, header ...string) int {
			r := httptest.NewRequest(method, prefix+name, strings.NewReader(""))
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		for i := range 20 {
			if code := do("PUT", fmt.Sprintf("s%d", i), "Stream-TTL", "90"); code != http.StatusCreated {
				t.Fatal(code)
			}
		}
		do("PUT", "fork", "Stream-Forked-From", prefix+"s0", "Stream-TTL", "150")
		do("PUT", "stays")
		time.Sleep(80 * time.Second)
		if code := do("GET", "s1"); code != http.StatusOK { // it counts anew from here
			t.Fatal(code)
		}
		time.Sleep(20 * time.Second)
		if code := do("HEAD", "s1"); code != http.StatusOK {
			t.Errorf("what was read is %d", code)
		}
		time.Sleep(time.Minute - 25*time.Second)
		do("HEAD", "stays")
		time.Sleep(time.Minute)
		do("HEAD", "stays")
		if st := h.Stats(); st.Expired != 21 || st.Topics != 1 {
			t.Errorf("stats: %+v", st)
		}
		if names, err := store.Topics(t.Context()); err != nil || len(names) != 2 {
			t.Errorf("the store has %q, %v", names, err)
		}
	})
}
