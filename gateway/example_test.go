package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/peal-dev/peal/gateway"
)

func ExampleRun() {
	ctx, stop := context.WithCancel(context.Background())
	cfg := gateway.Config{Listen: "127.0.0.1:0", APIKey: "secret"}
	err := gateway.Run(ctx, cfg, func(s *gateway.Server) {
		defer stop()
		body := strings.NewReader(`{"rooms":["lobby"],"event":"chat","args":["hello"]}`)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/v1/publish", body)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Authorization", "Bearer secret")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer http.DefaultClient.CloseIdleConnections()
		defer res.Body.Close()
		answer, _ := io.ReadAll(res.Body)
		fmt.Println(res.StatusCode, strings.TrimSpace(string(answer)))
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: 200 {"ok":true}
}
