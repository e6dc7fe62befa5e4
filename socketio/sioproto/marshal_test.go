package sioproto_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/socketio/sioproto"
)

type file struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
	Any  any    `json:"any,omitempty"`
}

type named string

func TestMarshal(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		args        []any
		want        string
		attachments [][]byte
	}{
		{nil, `[]`, nil},
		{[]any{nil, true, 1, int64(-2), int32(3), uint64(4), 1.5, "a"}, `[null,true,1,-2,3,4,1.5,"a"]`, nil},
		{[]any{"<a>&\u2028\"\n\\"}, "[\"<a>&\u2028\\\"\\n\\\\\"]", nil},
		{[]any{named("<b>"), struct{ A string }{"<c>&"}}, `["<b>",{"A":"<c>&"}]`, nil},
		{[]any{"a\xffb", named("a\xffb")}, "[\"a\ufffdb\",\"a\ufffdb\"]", nil},
		{[]any{at, time.Second}, `["2026-01-02T03:04:05Z",1000000000]`, nil},
		{[]any{json.RawMessage(`{"a": 1}`), json.RawMessage(nil)}, `[{"a": 1},null]`, nil},
		{[]any{[]byte{1}, "x", []byte{}}, `[{"_placeholder":true,"num":0},"x",{"_placeholder":true,"num":1}]`, [][]byte{{1}, {}}},
		{[]any{[]byte(nil)}, `[null]`, nil},
		{
			[]any{file{Name: "f", Data: []byte{1}, Any: []any{map[string]any{"k": []byte{2}}}}, &file{}},
			`[{"name":"f","data":{"_placeholder":true,"num":0},"any":[{"k":{"_placeholder":true,"num":1}}]},{"name":"","data":null}]`,
			[][]byte{{1}, {2}},
		},
		{[]any{[][]byte{{1}, {2}}, [2]byte{1, 2}}, `[[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}],[1,2]]`, [][]byte{{1}, {2}}},
	} {
		data, attachments, err := sioproto.MarshalArgs(tt.args...)
		if err != nil || string(data) != tt.want || !reflect.DeepEqual(attachments, tt.attachments) {
			t.Errorf("Marshal(%v) = %s, %v, %v\nwant %s, %v", tt.args, data, attachments, err, tt.want, tt.attachments)
		}
		if !json.Valid(data) {
			t.Errorf("%s is not JSON", data)
		}
	}
}

func TestMarshalErrors(t *testing.T) {
	t.Parallel()
	loop := map[string]any{}
	loop["loop"] = loop
	for name, arg := range map[string]any{
		"NaN": math.NaN(), "Inf": math.Inf(1), "NaN inside": []float64{math.NaN()}, "channel": make(chan int),
		"func": func() {}, "raw": json.RawMessage(`{`), "cycle": loop,
	} {
		_, _, err := sioproto.MarshalArgs("fine", arg)
		if err == nil || !strings.Contains(err.Error(), "argument 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := sioproto.MarshalEvent("connect"); err == nil {
		t.Error("a reserved name was marshaled")
	}
}

func TestMarshalCopiesBinary(t *testing.T) {
	t.Parallel()
	b := []byte{1}
	_, attachments, err := sioproto.MarshalArgs(b, file{Data: b})
	if err != nil {
		t.Fatal(err)
	}
	b[0] = 9
	if want := [][]byte{{1}, {1}}; !reflect.DeepEqual(attachments, want) {
		t.Errorf("attachments %v, want %v", attachments, want)
	}
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	att := [][]byte{{1}, {2, 3}}
	const ph0, ph1 = `{"_placeholder":true,"num":0}`, `{"num":1,"_placeholder":true}`
	for _, tt := range []struct {
		raw  string
		att  [][]byte
		into any
		want any
	}{
		{`"a\ud800é"`, nil, new(string), "a\ufffdé"},
		{`"a\ud800é"`, att, new(string), "a\ufffdé"},
		{`{"NAME":"n","name":"m"}`, nil, new(file), file{Name: "m"}},
		{`"AQI="`, nil, new([]byte), []byte{1, 2}},
		{`"AQI="`, att, new([]byte), []byte{1, 2}},
		{`null`, att, new([]byte), []byte(nil)},
		{ph0, nil, new(any), map[string]any{"_placeholder": true, "num": 0.0}},
		{ph1, att, new([]byte), []byte{2, 3}},
		{ph1, att, new(any), []byte{2, 3}},
		{ph0, att, new(json.RawMessage), json.RawMessage(ph0)},
		{
			`[` + ph0 + `,{"a":[` + ph1 + `,1,"s",null,true,{}]},` + ph0 + `]`, att, new(any),
			[]any{[]byte{1}, map[string]any{"a": []any{[]byte{2, 3}, 1.0, "s", nil, true, map[string]any{}}}, []byte{1}},
		},
		{
			`{"name":"n","data":` + ph0 + `,"any":{"x":` + ph1 + `}}`, att, new(file),
			file{Name: "n", Data: []byte{1}, Any: map[string]any{"x": []byte{2, 3}}},
		},
		{`{"a":` + ph1 + `}`, att, new(map[string][]byte), map[string][]byte{"a": {2, 3}}},
		{`{"_placeholder":false,"num":0}`, att, new(any), map[string]any{"_placeholder": false, "num": 0.0}},
		{`{"_placeholder":1,"num":0}`, att, new(any), map[string]any{"_placeholder": 1.0, "num": 0.0}},
		{`{"a":1,"a":2}`, att, new(any), map[string]any{"a": 2.0}},
		{`{"a":1,"a":2}`, nil, new(any), map[string]any{"a": 2.0}},
	} {
		err := sioproto.Unmarshal([]byte(tt.raw), tt.att, tt.into)
		if got := reflect.ValueOf(tt.into).Elem().Interface(); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Unmarshal(%s) = %#v, %v, want %#v", tt.raw, got, err, tt.want)
		}
	}
}

func TestUnmarshalErrors(t *testing.T) {
	t.Parallel()
	att := [][]byte{{1}}
	for _, tt := range []struct {
		raw  string
		into any
	}{
		{`{"_placeholder":true,"num":1}`, new(any)},
		{`{"_placeholder":true,"num":-1}`, new(any)},
		{`{"_placeholder":true,"num":0.5}`, new(any)},
		{`{"_placeholder":true,"num":"0"}`, new(any)},
		{`{"_placeholder":true}`, new([]byte)},
		{`{"_placeholder":true,"num":1}`, new([]byte)},
		{`{"num":0}`, new([]byte)},
		{`{"_placeholder":true,"num":0}`, new(string)},
		{`[`, new(any)},
		{`{"a":`, new(any)},
		{`1`, new(string)},
	} {
		if err := sioproto.Unmarshal([]byte(tt.raw), att, tt.into); err == nil {
			t.Errorf("Unmarshal(%s, %T): no error", tt.raw, tt.into)
		}
	}
}
