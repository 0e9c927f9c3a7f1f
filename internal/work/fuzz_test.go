package work_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/blocking-coordination/coord/internal/work"
)

// FuzzData: any bytes come back as they were, and what is read is written so that it is read as the same.
func FuzzData(f *testing.F) {
	for _, s := range []string{"", "plain", `"x"`, `{"base64":"YQ=="}`, `{"base64":null}`, `{"BASE64":"/w=="}`, `"\ud800"`, "null", "\xff\x00", "[1]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		wantBack(t, data)
		var read work.Data
		if json.Unmarshal(data, &read) == nil {
			wantBack(t, read)
		}
	})
}

func wantBack(t *testing.T, data work.Data) {
	t.Helper()
	written, err := json.Marshal(data)
	if err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	var again work.Data
	if err := json.Unmarshal(written, &again); err != nil || !bytes.Equal(again, data) {
		t.Fatalf("%q is written %s, which is read as %q: %v", data, written, again, err)
	}
}
