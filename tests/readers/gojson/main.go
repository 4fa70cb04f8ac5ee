// What Go's encoding/json makes of bodies: the same file and the same lines as readers.py.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"log"
	"os"
)

// A request as servers declare it: a member's name fits in any case.
type request struct {
	Model *string `json:"model"`
}

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	in := bufio.NewReader(file)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		var length uint32
		if err := binary.Read(in, binary.LittleEndian, &length); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(in, body); err != nil {
			log.Fatal(err)
		}
		line, err := json.Marshal(read(body))
		if err != nil {
			log.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
}

func read(body []byte) map[string][]string {
	found := map[string][]string{}
	var whole, first request
	if json.Unmarshal(body, &whole) == nil {
		found["Go, a struct"] = names(whole)
	}
	// Most HTTP frameworks read the first value, and never look behind it.
	if json.NewDecoder(bytes.NewReader(body)).Decode(&first) == nil {
		found["Go, a decoder"] = names(first)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) == nil {
		var name string
		if value, ok := members["model"]; !ok {
			found["Go, a map"] = []string{}
		} else if json.Unmarshal(value, &name) == nil {
			found["Go, a map"] = []string{name}
		} else {
			found["Go, a map"] = []string{string(value)}
		}
	}
	return found
}

func names(r request) []string {
	if r.Model == nil {
		return []string{}
	}
	return []string{*r.Model}
}
