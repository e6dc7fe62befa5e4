package interop_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// flood has six clients send as fast as they can, one kind of frame after another.
func flood(ctx context.Context, h *hostile) error {
	for _, kind := range []struct{ name, frames string }{
		{"pings", string(frame(pingOp, ""))},
		{"fragments", string(rawFrame(more, true, 0, ""))},
		{"pongs", string(frame(text, "3"))},
		{"CONNECTs", string(frame(text, "40/n,"))},
		{"acknowledgements", string(frame(text, "431[]"))},
		{"events", string(frame(text, `42["unsubscribe","a"]`))},
		{"publications", string(frame(text, `42["publish",{"rooms":["nobody"],"event":"x"}]`))},
	} {
		var running sync.WaitGroup
		for range 6 {
			c, err := joined(ctx, h.node())
			if err != nil {
				return fmt.Errorf("%s: %w", kind.name, err)
			}
			if kind.name == "fragments" {
				_, _ = c.Write(rawFrame(text, true, 0, ""))
			}
			running.Go(func() {
				defer c.reset()
				_ = c.SetDeadline(time.Now().Add(3 * time.Second))
				running.Go(func() { // the answers are read, or the node would be right to stop
					for {
						if _, err := c.r.Discard(1); err != nil {
							return
						}
					}
				})
				chunk := []byte(strings.Repeat(kind.frames, 1+(64<<10)/len(kind.frames)))
				for {
					if _, err := c.Write(chunk); err != nil {
						return
					}
				}
			})
		}
		running.Wait()
	}
	return nil
}

// deafReaders subscribe to a busy room and read nothing.
func deafReaders(ctx context.Context, h *hostile) error {
	n := h.node()
	for i := range 12 {
		c, err := dial(ctx, n)
		if i%2 == 0 {
			c, err = joined(ctx, n)
		}
		if err != nil {
			return err
		}
		defer c.reset()
		if i%2 == 0 {
			_, err = c.Write(frame(text, `42["subscribe","deaf"]`))
		} else {
			err = c.say("GET /v1/events?room=deaf HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if err != nil {
			return err
		}
	}
	header := http.Header{"Authorization": {"Bearer " + soakKey}, "Content-Type": {"application/json"}}
	body := `{"rooms":["deaf"],"event":"x","args":["` + strings.Repeat("y", 200_000) + `"]}`
	for range 60 {
		if status, answer, err := request(ctx, n, http.MethodPost, "/v1/publish", body, header); err != nil || status != http.StatusOK {
			return fmt.Errorf("publish: %d %s %w", status, answer, err)
		}
	}
	return nil
}

// churnRooms joins and leaves rooms with names of every sort.
func churnRooms(ctx context.Context, h *hostile) error {
	names := []string{"#", "*", "?", "[a-z]", `\\`, "a#b", "/", "{}", "😀", strings.Repeat("x", 255), "\u2028", "%s", " "}
	for range 10 {
		c, err := joined(ctx, h.node())
		if err != nil {
			return err
		}
		for i := range 100 {
			name := fmt.Sprintf("%s%d", names[i%len(names)], h.rand.IntN(50))
			if len(name) > 255 {
				name = name[:255]
			}
			if _, err := c.Write(frame(text, fmt.Sprintf(`42["subscribe","%s"]`, name))); err != nil {
				return err
			}
			if i%3 == 0 {
				_, _ = c.Write(frame(text, fmt.Sprintf(`42["unsubscribe","%s"]`, name)))
			}
		}
		if _, err := c.Write(frame(text, `429["unsubscribe","end"]`)); err != nil {
			return err
		}
		if _, err := c.until("439"); err != nil {
			return err
		}
		c.reset()
	}
	return nil
}
