package call

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// place is where protojson reports that something is wrong. Its spaces vary on
// purpose, so that its texts are not compared.
var place = regexp.MustCompile(`^(?:syntax error )?\(line (\d+):(\d+)\):\s*`)

// Request reads a request that is written as protobuf's JSON. The error is a
// sentence that has the place of what is wrong.
func (m Method) Request(text []byte) (proto.Message, error) {
	request := m.request.New().Interface()
	err := protojson.Unmarshal(text, request)
	if err == nil {
		return request, nil
	}
	words := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		words = "it is empty, and the least is {}"
	case strings.HasSuffix(words, "EOF"):
		words = "the JSON ends too early"
	}
	words = place.ReplaceAllString(words, "line $1, column $2: ")
	takes := "it has no fields; leave the request out"
	if len(m.Fields) > 0 {
		takes = fmt.Sprintf("its fields are %s", strings.Join(m.Fields, ", "))
	}
	return nil, errors.New(m.String() + " does not take this request: " + words + "; " + takes)
}
