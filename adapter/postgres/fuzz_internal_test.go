package postgres

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzHeader reads what a stranger may have notified.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		`{"uid":"a658e6ace0e35db0","type":3,"attachmentId":"42"}`, `{"uid":"emitter","type":3,"nsp":"/","attachmentId":42}`,
		`{"type":3,"data":{"packet":{"type":2,"data":["\"attachmentId\"",{"attachmentId":"1"}]}},"uid":"x","nsp":"/"}`,
		`{"attachmentId":-1}`, `{"attachmentId":"9223372036854775808"}`, `{"attachmentId":null}`, `{"attachmentId":{}}`, `"attachmentId"`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		h, err := parseHeader(payload)
		if h != nil && (err != nil || h.AttachmentID <= 0 || !strings.Contains(payload, "attachmentId")) {
			t.Errorf("%q is the header %+v, %v", payload, h, err)
		}
	})
}

// FuzzChannel makes channels that PostgreSQL takes, of any namespace.
func FuzzChannel(f *testing.F) {
	for _, seed := range []string{"/", "/chat", "/\x00", "/\xff", "/" + strings.Repeat("é", 40), "/" + strings.Repeat("🦉", 20)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, namespace string) {
		for _, key := range []string{DefaultKey, strings.Repeat("k", maxKey)} {
			name := channelOf(key, namespace)
			clean := utf8.ValidString(namespace) && !strings.ContainsRune(namespace, 0)
			if len(name) > maxIdentifier || !utf8.ValidString(name) || strings.ContainsRune(name, 0) || !strings.HasPrefix(name, key+"#") ||
				clean && !strings.HasPrefix(key+"#"+namespace, name) || clean && len(key+"#"+namespace) <= maxIdentifier && name != key+"#"+namespace {
				t.Errorf("the channel of %q is %q", namespace, name)
			}
		}
	})
}

func TestHeader(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"uid":"a","type":3,"attachmentId":"42"}`:               `a  42`,
		`{"uid":"a","type":3,"nsp":"/x","attachmentId":42}`:      `a /x 42`,
		`{"type":3,"data":{"attachmentId":"42"},"uid":"a"}`:      ``,
		`{"uid":"a","type":3,"data":["\"attachmentId\""]}`:       ``,
		`{"uid":"a","attachmentId":"0"}`:                         `error`,
		`{"uid":"a","attachmentId":"42; DROP TABLE important"}`:  `error`,
		`{"uid":"a","attachmentId":"42"`:                         `error`,
		`{"uid":"a","type":3,"data":{"packet":["attachmentId"]}`: `error`,
	} {
		h, err := parseHeader(payload)
		got := ""
		if h != nil {
			got = fmt.Sprint(h.UID, " ", h.Namespace, " ", h.AttachmentID)
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s is %q, want %q", payload, got, want)
		}
	}
}
