"""The calls of LynseDB as values, under the names that its page of HTTP endpoints gives them.

``docs/lynsedb.md`` says what each does on which version. A call refuses, when it is made, what a
server would misread.
"""
