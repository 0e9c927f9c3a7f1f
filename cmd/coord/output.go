package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// say prints one result: text for people, v as one line of JSON for programs.
func (a *app) say(text string, v any) error {
	if a.Output == "json" {
		return writeJSON(a.out, v)
	}
	_, err := fmt.Fprintln(a.out, clean(text))
	return err
}

// table prints rows under a heading, or each of values as one line of JSON.
func table[T any](a *app, heading []string, values []T, row func(T) []string) error {
	if a.Output == "json" {
		for _, v := range values {
			if err := writeJSON(a.out, v); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(heading, "\t"))
	for _, v := range values {
		fmt.Fprintln(w, cells(row(v)))
	}
	return w.Flush()
}

func cells(row []string) string {
	for i := range row {
		row[i] = clean(row[i])
	}
	return strings.Join(row, "\t")
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// content is bytes of a user in JSON: as text where they are text, else in base64.
type content struct {
	Text   string `json:"payload,omitempty"`
	Base64 []byte `json:"payloadBase64,omitempty"`
}

func contentOf(b []byte) content {
	if utf8.Valid(b) {
		return content{Text: string(b)}
	}
	return content{Base64: b}
}

// quoted is ", what "bytes"" in a line for people, or nothing.
func quoted(what string, b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return fmt.Sprintf(", %s %q", what, b)
}
