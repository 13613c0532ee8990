package scim

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// plainPages are list responses, and whether they are plain.
var plainPages = map[string]bool{
	`{}`: true,
	`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"startIndex":1,"itemsPerPage":100,"Resources":[{"id":"1"}]}`: true,
	` { "Resources" : [ ] , "totalResults" : "7" , "nextCursor" : "abc" } `:                                                                          true,
	`{"Resources":[{"id":7,"userName":"ann","externalId":null,"active":"True","emails":["a@x.org"],"roles":{"value":"Admin"}}]}`:                     true,
	`{"Resources":[{"id":"1","name":{"formatted":"Änn \"A\" B\u00e4r \ud83d\ude00","givenName":"Ann","familyName":null,"honorificPrefix":"Dr."}}]}`:  true,
	`{"Resources":[{"id":"1","name":null,"meta":null,"displayName":null,"emails":null,"roles":null,"active":null}]}`:                                 true,
	`{"Resources":[{"id":"1","meta":{"resourceType":"User","created":"2025-03-25T16:17:00Z","location":"x"},"groups":[{"value":"g"}]}]}`:             true,
	`{"Resources":[{"id":"1","title":"T","userType":"E","locale":"de-DE","timezone":"Europe/Berlin","nickName":"N","password":"p"}]}`:                true,
	`{"Resources":[{"id":"1","` + knownExtension + `":{"employeeNumber":7,"costCenter":"c","organization":"o","division":"d","department":"x",` +
		`"manager":{"displayName":"M"}}},{"id":"2","` + knownExtension + `":null}]}`: true,
	`{"Resources":[{"id":"1","unknown":{"id":"2","id":"3"},"unknown":[{"Id":1}]}]}`: true,
	`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404"}`:    true,

	`{"Resources":null}`:                                  false,
	`{"Resources":{"id":"1"}}`:                            false,
	`{"Resources":[null]}`:                                false,
	`{"Resources":["1"]}`:                                 false,
	`{"resources":[{"id":"1"}]}`:                          false,
	`{"Resources":[],"Resources":[{"id":"1"}]}`:           false,
	`{"Resources":[{"ID":"1"}]}`:                          false,
	`{"Resources":[{"id":"1","id":"2"}]}`:                 false,
	`{"Resources":[{"id":"1","i\u0064":"2"}]}`:            false,
	`{"Resources":[{"id":"1","\u212aey":"2"}]}`:           false,
	`{"Resources":[{"id":"1","locäle":"2"}]}`:             false,
	`{"Resources":[{"id":"1","title":7}]}`:                false,
	`{"Resources":[{"id":"1","name":"Ann"}]}`:             false,
	`{"Resources":[{"id":"1","name":["Ann"]}]}`:           false,
	`{"Resources":[{"id":"1","meta":7}]}`:                 false,
	`{"Resources":[{"id":"1","title":"\ud83d"}]}`:         false,
	"{\"Resources\":[{\"id\":\"1\",\"title\":\"\xff\"}]}": false,
	"{\"Resources\":[{\"id\":\"\xff\"}]}":                 false,
	"{\"Resources\":[{\"id\":\"1\",\"title\":\"\n\"}]}":   false,
	`{"Resources":[{"id":"1","urn:scim:schemas:extension:enterprise:1.0":{"department":"x"}}]}`:    false,
	`{"Resources":[{"id":"1","URN:scim:schemas:extension:enterprise:1.0":{"department":"x"}}]}`:    false,
	`{"Resources":[{"id":"1","Urn:example:2.0:User":{"role":"Admin"}}]}`:                           false,
	`{"Resources":[{"id":"1","urn:example:2.0:User":{"role":"Admin"}}]}`:                           false,
	`{"Resources":[{"id":"1","urn:ietf:params:scim:schemas:core:2.0:User":{"userName":"ann"}}]}`:   false,
	`{"Resources":[{"id":"1","URN:ietf:params:scim:schemas:core:2.0:user":{"userName":"ann"}}]}`:   false,
	`{"Resources":[{"id":"1","\u0075rn:scim:schemas:core:1.0":{"userName":"ann"}}]}`:               false,
	`{"Resources":[{"id":"1","urn:ietf:params:scim:schemas:core:2.0:User:userName":"ann"}]}`:       false,
	`{"Resources":[{"id":"1","schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]}]}`:          true,
	`{"Resources":[{"id":"1","active":false,"active":true},{"id":"2","active":""}]}`:               false,
	`{"Resources":[{"id":"1","active":""},{"id":"2","active":" "},{"id":"3","active":"pending"}]}`: true,
	`{"Resources":[{"id":"1"}]} x`: false,
	`{"Resources":[{"id":"1"}]}{}`: false,
	`{"Resources":[{"id":"1"}]`:    false,
	`{"Resources":[{"id":"1",}]}`:  false,
	`{"Resources":[{"id":"1"},]}`:  false,
	`{"Resources":[{"id":"1"} 2]}`: false,
	`{"Resources":[{"id" "1"}]}`:   false,
	`{"Resources":[{"id":01}]}`:    false,
	`{"Resources":[{id:"1"}]}`:     false,
	`[]`:                           false,
	`null`:                         false,
	`"x"`:                          false,
	``:                             false,
}

func TestPlainUsers_MatchEncodingJSON(t *testing.T) {
	t.Parallel()
	for body, plain := range plainPages {
		_, _, ok := plainUsers([]byte(body))
		require.Equal(t, plain, ok, body)
		requireUsersAlike(t, []byte(body))
	}
}

// requireUsersAlike: what is plain is what encoding/json makes of it.
func requireUsersAlike(t *testing.T, body []byte) {
	t.Helper()
	head, users, plain := plainUsers(body)
	if !plain {
		return
	}
	wantHead, wantUsers, err := decodeList[user](body)
	readExtensionRoles(body, wantUsers)
	readNested(body, wantUsers)
	require.NoError(t, err, "%s", body)
	require.Equal(t, wantHead, head, "%s", body)
	require.Len(t, users, len(wantUsers), "%s", body)
	for i := range users {
		require.Equal(t, wantUsers[i], users[i], "%s", body)
	}
}

// TestPlainUsers_HaveEveryMember: what a type reads by its tags, plainUsers reads too.
func TestPlainUsers_HaveEveryMember(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		of    any
		names []string
	}{
		{listHead{}, namesOf(listMembers)},
		{user{}, namesOf(userMembers)},
		{personName{}, namesOf(nameMembers)},
		{meta{}, namesOf(metaMembers)},
		{workplace{}, namesOf(workplaceMembers)},
	} {
		var tagged []string
		for field := range reflect.TypeOf(one.of).Fields() {
			if name := field.Tag.Get("json"); name != "" && !strings.HasPrefix(name, "urn:scim:") {
				tagged = append(tagged, name)
			}
		}
		if _, isList := one.of.(listHead); isList {
			tagged = append(tagged, "Resources")
		}
		require.ElementsMatch(t, tagged, one.names, "%T", one.of)
		require.Less(t, len(one.names), 32, "more than there are bits for")
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(one.names))), len(one.names))
	}
}

func namesOf[T any](members []plainMember[T]) []string {
	var names []string
	for _, one := range members {
		names = append(names, one.name)
	}
	return names
}

// TestPlainUsers_NoticeTwoMembersResources in whatever way they are written: encoding/json reads
// the second over the first.
func TestPlainUsers_NoticeTwoMembersResources(t *testing.T) {
	t.Parallel()
	for body, twice := range map[string]bool{
		`{"Resources":[{"id":"1"}]}`:                                      false,
		`{"Resources":[{"id":"1","Resources":[]}]}`:                       false,
		`{"Resources":[{"id":"\u0031","Resources":[]}]}`:                  false,
		`{"Resources":[{"id":"1"}],"Resources":[{"id":"2"}]}`:             true,
		`{"Resources":[{"id":"1"}],"resources":null}`:                     true,
		`{"Resources":[{"id":"1"}],"R\u0065sources":[{"id":"2"}]}`:        true,
		`{"\u0052esources":[{"id":"1"}],"totalResults":1,"rEsources":[]}`: true,
	} {
		head, _, _ := decodeUsers([]byte(body), choice{})
		require.Equal(t, twice, head.twice, body)
		head, _, _ = decodeGroups([]byte(body), choice{})
		require.Equal(t, twice, head.twice, body)
	}
}

// TestPlainUsers_HaveEveryNestedMember: what is read of a user is also read where an app nests it.
func TestPlainUsers_HaveEveryNestedMember(t *testing.T) {
	t.Parallel()
	full := `{"id":"1","externalId":"e","userName":"u","displayName":"d","nickName":"n","name":{"formatted":"f","givenName":"g","familyName":"h"},` +
		`"active":false,"emails":["a@x.org"],"title":"t","userType":"ut","locale":"l","timezone":"tz","roles":["r"],"groups":["g"],` +
		`"meta":{"resourceType":"User","created":"2025-03-25T16:17:00Z"},"` + knownExtension + `":{"department":"x"},"urn:scim:schemas:extension:enterprise:1.0":{"department":"y"}}`
	for name, raw := range map[string]string{
		"S2: core attributes nested under their URN: every one of a user":                    `{"urn:ietf:params:scim:schemas:core:2.0:User":` + full + `}`,
		"S2: core attributes nested under their URN: every one of a user, equal to others's": strings.TrimSuffix(full, "}") + `,"urn:scim:schemas:core:1.0":` + full + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want user
			require.NoError(t, json.Unmarshal([]byte(full), &want))
			for field, value := range reflect.ValueOf(want).Fields() {
				if field.Tag.Get("json") != "" {
					require.False(t, value.IsZero(), "%s is not in the test", field.Name)
				}
			}
			_, got, err := decodeUsers([]byte(`{"Resources":[`+raw+`]}`), choice{})
			require.NoError(t, err)
			user, _ := got[0].(*user)
			user.extensionRoles = nil
			require.Equal(t, want, *user)
		})
	}
}

func FuzzPlainUsers(f *testing.F) {
	for body := range plainPages {
		f.Add([]byte(body))
	}
	f.Fuzz(requireUsersAlike)
}

// BenchmarkDecodeUsers decodes pages of 100 users, in the usual form and in one that is
// left to encoding/json.
func BenchmarkDecodeUsers(b *testing.B) {
	_, pages := benchServer(b, 0)
	for _, form := range []struct{ name, written string }{{"plain", `"id"`}, {"odd", `"ID"`}} {
		b.Run(form.name, func(b *testing.B) {
			body := []byte(strings.ReplaceAll(string(pages[7]), `"id"`, form.written))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, users, err := decodeUsers(body, choice{}); err != nil || len(users) != 100 {
					b.Fatal(len(users), err)
				}
			}
		})
	}
}
