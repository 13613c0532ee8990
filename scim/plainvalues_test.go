package scim

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

var plainLists = map[string]bool{ // whether it is plain
	`[]`:   true,
	`[{}]`: true,
	`[{"value":"ann@example.com","type":"work","primary":true}]`:               true,
	" [ { \"value\" : \"a\" , \"primary\" : false } ,\n{\"display\":\"ä\"} ] ": true,
	`[{"value":"a","value":"b","$ref":"x","other":true}]`:                      true,
	`[{"Value":"a"}]`:               false,
	`[{"value":1}]`:                 false,
	`[{"value":null}]`:              false,
	`[{"value":true}]`:              false,
	`[{"primary":"true"}]`:          false,
	`[{"type":true}]`:               false,
	`[{"value":"a\n"}]`:             false,
	"[{\"value\":\"\xff\"}]":        false,
	"[{\"value\":\"\x01\"}]":        false,
	`[{"value":"a"},"b"]`:           false,
	`["a"]`:                         false,
	`[[]]`:                          false,
	`[{"other":{"value":"a"}}]`:     false,
	`[{"other":[1]}]`:               false,
	`[{"value":"a"}] x`:             false,
	`[{"value":"a"}`:                false,
	`[{"value":"a",}]`:              false,
	`[{"value":"a"},]`:              false,
	`[{"value":truefalse}]`:         false,
	`[{"primary":truefalse}]`:       false,
	`[{"primary":tru}]`:             false,
	`[{"value"}]`:                   false,
	`[{"value":"a"`:                 false,
	`[{value:"a"}]`:                 false,
	`{"value":"a"}`:                 false,
	`"a"`:                           false,
	``:                              false,
	`[{"value":"a" "display":"b"}]`: false,
}

func TestPlainValues_MatchEncodingJSON(t *testing.T) {
	t.Parallel()
	for raw, plain := range plainLists {
		_, ok := plainValues(raw)
		require.Equal(t, plain, ok, raw)
		requirePlainAlike(t, []byte(raw))
	}
}

// requirePlainAlike: what is plain is what encoding/json makes of it.
func requirePlainAlike(t *testing.T, raw []byte) {
	t.Helper()
	got, ok := plainValues(string(raw))
	if !ok {
		return
	}
	var want []value
	require.NoError(t, json.Unmarshal(raw, &want), "%s", raw)
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i], got[i], "%s", raw)
	}
}

func FuzzPlainValues(f *testing.F) {
	for raw := range plainLists {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { requirePlainAlike(t, raw) })
}
