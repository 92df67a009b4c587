-- The database that the attempts of corpus.txt are made on.
CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, city TEXT, note TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES people, total REAL, tags TEXT);
CREATE TABLE "odd ""name" ("select" TEXT, "a b" BLOB);
CREATE VIEW richest AS SELECT p.name, sum(o.total) AS total FROM people p JOIN orders o ON o.person = p.id GROUP BY p.id;
CREATE VIEW lost AS SELECT * FROM gone;
CREATE VIEW sly AS SELECT load_extension('libm.so') AS x;
CREATE VIRTUAL TABLE notes USING fts5(note);
CREATE VIRTUAL TABLE places USING rtree(id, x0, x1, y0, y1);
CREATE TRIGGER spread AFTER INSERT ON people BEGIN DELETE FROM orders; END;
INSERT INTO people (name, city, note) VALUES
    ('Ada', 'Lima', 'likes tea'), ('Bo', 'Oslo', NULL), ('Cy', 'Lima', '100% wool'), ('Dee', NULL, 'a_b'),
    ('Ed', 'Rome', 'x'), ('Flo', 'Oslo', 'y'), ('Gus', 'Lima', 'z'), ('Hal', 'Rome', '');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO orders (person, total, tags) SELECT i % 8 + 1, i * 1.5, '["a","b"]' FROM n;
INSERT INTO "odd ""name" VALUES ('x', x'00ff');
INSERT INTO notes VALUES ('likes tea');
INSERT INTO places VALUES (1, 0, 1, 0, 1);
