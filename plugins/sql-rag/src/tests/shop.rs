//! A small shop of the tests' own.

use super::database::Sqlite;

const SCRIPT: &str = "
    CREATE TABLE customers (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, city TEXT NOT NULL, country TEXT NOT NULL,
        created_at TEXT NOT NULL);
    CREATE TABLE products (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, price REAL NOT NULL, stock INTEGER NOT NULL);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers(id), ordered_at TEXT NOT NULL,
        status TEXT NOT NULL, total REAL NOT NULL);
    CREATE TABLE order_items (
        id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders(id),
        product_id INTEGER NOT NULL REFERENCES products(id), quantity INTEGER NOT NULL, unit_price REAL NOT NULL);
    CREATE TABLE reviews (
        id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL REFERENCES products(id),
        customer_id INTEGER NOT NULL REFERENCES customers(id), rating INTEGER NOT NULL, comment TEXT, created_at TEXT NOT NULL);

    INSERT INTO customers VALUES
        (1, 'Ana Lopes', 'ana@example.com', 'Lisbon', 'Portugal', '2022-03-01'),
        (2, 'Ben Carter', 'ben@example.com', 'London', 'United Kingdom', '2022-11-15'),
        (3, 'Chiara Conti', 'chiara@example.com', 'Rome', 'Italy', '2023-01-20'),
        (4, 'Duarte Reis', 'duarte@example.com', 'Lisbon', 'Portugal', '2023-06-05'),
        (5, 'Eva Novak', 'eva@example.com', 'Prague', 'Czech Republic', '2023-09-30');
    INSERT INTO products VALUES
        (1, 'Desk Lamp', 'Lighting', 35.5, 12),
        (2, 'Floor Lamp', 'Lighting', 89.0, 4),
        (3, 'Oak Table', 'Furniture', 420.0, 2),
        (4, 'Reading Chair', 'Furniture', 199.0, 0),
        (5, 'Linen Curtain', 'Textiles', 48.0, 30),
        (6, 'Wool Blanket', 'Textiles', 75.0, 18);
    INSERT INTO orders VALUES
        (1, 1, '2023-01-10 09:00:00', 'delivered', 106.5),
        (2, 2, '2023-01-25 18:30:00', 'delivered', 420.0),
        (3, 3, '2023-02-14 12:00:00', 'cancelled', 89.0),
        (4, 1, '2023-02-28 08:15:00', 'delivered', 150.0),
        (5, 4, '2023-06-20 20:45:00', 'pending', 247.0),
        (6, 2, '2023-07-01 00:00:00', 'cancelled', 35.5),
        (7, 1, '2024-01-05 10:10:00', 'delivered', 620.0),
        (8, 5, '2024-03-17 16:00:00', 'shipped', 96.0);
    INSERT INTO order_items VALUES
        (1, 1, 1, 3, 35.5), (2, 2, 3, 1, 420.0), (3, 3, 2, 1, 89.0), (4, 4, 6, 2, 75.0), (5, 5, 4, 1, 199.0),
        (6, 5, 5, 1, 48.0), (7, 6, 1, 1, 35.5), (8, 7, 3, 1, 420.0), (9, 7, 4, 1, 200.0), (10, 8, 5, 2, 48.0);
    INSERT INTO reviews VALUES
        (1, 1, 1, 5, 'Bright and sturdy', '2023-02-01'), (2, 1, 2, 4, NULL, '2023-08-01'),
        (3, 3, 2, 5, 'Lovely', '2023-03-01'), (4, 2, 3, 2, 'Arrived broken', '2023-03-03'),
        (5, 6, 1, 4, 'Warm', '2023-04-01'), (6, 3, 1, 3, 'Scratched', '2024-02-01'), (7, 6, 4, 5, 'Soft', '2024-02-02');
";

pub(super) fn shop() -> Sqlite {
    Sqlite::from_script(SCRIPT)
}

#[test]
fn questions_a_shop_is_asked() {
    let db = shop();
    for (sql, columns, questions) in [
        (
            "VALUES ('Desk Lamp', 4), ('Linen Curtain', 3), ('Oak Table', 2), ('Reading Chair', 2), ('Wool Blanket', 2), ('Floor Lamp', 1)",
            &["name", "quantity"][..],
            &[
                "best selling products",
                "what are our best-selling products?",
                "most sold products",
                "top 10 products by units sold",
            ][..],
        ),
        (
            "VALUES ('2023-01', 526.5), ('2023-02', 239.0), ('2023-06', 247.0), ('2023-07', 35.5), ('2024-01', 620.0), ('2024-03', 96.0)",
            &["month", "revenue"],
            &[
                "revenue per month",
                "monthly revenue",
                "how much revenue did we make each month",
                "total sales by month",
            ],
        ),
        (
            "VALUES (2)",
            &["orders"],
            &[
                "how many orders were cancelled",
                "how many cancelled orders are there",
                "number of orders with status cancelled",
                "count of cancelled orders",
            ],
        ),
        (
            "VALUES (4.5)",
            &["average_rating"],
            &[
                "average rating of Desk Lamp",
                "what is the average rating of the Desk Lamp?",
                "mean rating of the product \"Desk Lamp\"",
            ],
        ),
        (
            "VALUES ('Ana Lopes'), ('Duarte Reis')",
            &["name"],
            &[
                "customers in Lisbon",
                "who are our customers in Lisbon?",
                "customers who live in Lisbon",
                "customers from the city of Lisbon",
                "Portuguese customers",
            ],
        ),
        (
            "VALUES ('Furniture', 1239.0), ('Textiles', 294.0), ('Lighting', 231.0)",
            &["category", "revenue"],
            &[
                "top 3 categories by revenue",
                "the three categories with the highest revenue",
                "which 3 categories have the highest sales",
                "top 3 product categories by revenue",
            ],
        ),
        (
            "VALUES (1764.0)",
            &["revenue"],
            &[
                "total revenue",
                "what is our revenue?",
                "how much revenue did we make",
            ],
        ),
        (
            "VALUES (876.5)",
            &["revenue"],
            &["how much did Ana Lopes spend", "revenue from Ana Lopes"],
        ),
        (
            "VALUES (4)",
            &["quantity"],
            &[
                "how many units of Desk Lamp were sold",
                "how many units of the Desk Lamp did we sell",
            ],
        ),
        (
            "VALUES (1), (2)",
            &["id"],
            &[
                "customers who bought a Desk Lamp",
                "customers who reviewed the Desk Lamp",
                "which customers ordered the Desk Lamp",
            ],
        ),
        (
            "VALUES (1), (3), (4), (6)",
            &["id"],
            &[
                "products bought by Ana Lopes",
                "which products did Ana Lopes buy",
                "products ordered by Ana Lopes",
            ],
        ),
        (
            "VALUES (1), (4), (5)",
            &["id"],
            &[
                "orders by customers from Lisbon in 2023",
                "orders from Lisbon in 2023",
            ],
        ),
        (
            "VALUES (7)",
            &["id"],
            &[
                "largest order",
                "the biggest order",
                "order with the highest total",
            ],
        ),
        (
            "VALUES ('Ana Lopes', 3)",
            &["name", "orders"],
            &[
                "which customer has the most orders",
                "who is the customer with the most orders",
            ],
        ),
        (
            "VALUES (2), (5), (7)",
            &["id"],
            &[
                "orders over 200",
                "orders with a total above 200",
                "orders of more than $200",
            ],
        ),
        (
            "VALUES (1), (4)",
            &["id"],
            &[
                "orders between 100 and 200",
                "orders with a total from 100 to 200",
            ],
        ),
        (
            "VALUES (1), (5)",
            &["id"],
            &[
                "products under $50",
                "products cheaper than 50",
                "products that cost less than 50 euros",
            ],
        ),
        (
            "VALUES (3)",
            &["categories"],
            &["how many categories are there", "number of different categories"],
        ),
        (
            "VALUES ('Furniture'), ('Lighting'), ('Textiles')",
            &["category"],
            &["list all categories", "what categories are there?"],
        ),
        ("VALUES ('Lisbon')", &["city"], &["cities in Portugal"]),
        (
            "VALUES (420.0)",
            &["price"],
            &[
                "price of the Oak Table",
                "how much is the Oak Table?",
                "how much does the oak table cost",
                "what does the Oak Table cost",
            ],
        ),
        (
            "VALUES (220.5)",
            &["average_total"],
            &[
                "average order value",
                "average order total",
                "average total of orders",
            ],
        ),
        (
            "VALUES ('cancelled')",
            &["status"],
            &["status of order 3", "what is the status of order #3?"],
        ),
        (
            "VALUES (8)",
            &["id"],
            &["latest order", "the most recent order", "last order"],
        ),
        (
            "VALUES ('Ana Lopes', 3), ('Ben Carter', 2)",
            &["name", "orders"],
            &[
                "customers with at least 2 orders",
                "customers with more than one order",
                "who are the customers with 2 or more orders",
            ],
        ),
        (
            "VALUES ('Portugal', 3), ('United Kingdom', 1)",
            &["country", "orders"],
            &[
                "delivered orders by country",
                "how many delivered orders per country",
            ],
        ),
        (
            "VALUES ('Desk Lamp', 4.5), ('Wool Blanket', 4.5)",
            &["name", "average_rating"],
            &[
                "products with an average rating over 4",
                "products whose average rating is above 4",
            ],
        ),
    ] {
        db.same(sql, columns, questions);
    }
}

#[test]
fn values_are_bound_and_never_part_of_the_statement() {
    let db = Sqlite::from_script(
        "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE \"or\"\"der\" (id INTEGER PRIMARY KEY, \"a b\" TEXT);
         INSERT INTO things VALUES (1, 'x'' OR 1=1 --'), (2, 'plain');",
    );
    let query = db.understand("things called \"x' OR 1=1 --\"").unwrap();
    assert!(!query.sql.contains("OR 1"), "{}", query.sql);
    assert_eq!(db.ask("things called \"x' OR 1=1 --\"").len(), 1);
}

#[test]
fn tells_what_rows_say() {
    let db = shop();
    for (question, told) in [
        ("how many customers are there", "There are 5 customers."),
        (
            "how many customers are there in Rome",
            "There is 1 customer where city is Rome.",
        ),
        (
            "best selling product",
            "It is Desk Lamp, by quantity sold (the sum of order_items.quantity): 4.",
        ),
        ("total revenue", "The revenue (the sum of orders.total) is 1764."),
        (
            "orders before 2023-01-20",
            "1 order where ordered_at is before 2023-01-20: 1.",
        ),
        (
            "top 3 categories by revenue",
            "The top 3 categories by revenue (quantity times unit_price): Furniture (1239), Textiles (294), Lighting (231).",
        ),
        (
            "which product has the most reviews",
            "3 products are level by number of reviews: Desk Lamp (2), Oak Table (2), Wool Blanket (2).",
        ),
        ("email of Ana Lopes", "1 customer: Ana Lopes (ana@example.com)."),
        ("products over $1000", "Nothing matches."),
        (
            "the cheapest product",
            "Product Desk Lamp has the lowest price: 35.5.",
        ),
        (
            "orders in 2024",
            "2 orders where ordered_at is from 2024-01-01 to 2024-12-31: 7, 8.",
        ),
        ("list categories", "3 categories: Furniture, Lighting, Textiles."),
    ] {
        assert_eq!(db.told(question), told, "{question}");
    }
}

#[test]
fn declines_what_it_cannot_read() {
    let db = shop();
    db.declines(&[
        "why are sales falling",
        "which customers are unhappy",
        "what is the weather in Lisbon",
        "delete all customers",
        "customers who never bought a Desk Lamp",
        "compare Portugal and Italy by growth",
        "how many customers will we have next year",
        "customers without orders",
        "products that were not sold",
        "products nobody bought",
        "revenue this month",
        "share of cancelled orders",
        "best customers",
        "top 5 products",
        "products under 50",
        "customers older than 30",
        "orders except cancelled ones",
        "customers and products",
        "total orders by month",
        "the third largest order",
        "products similar to Desk Lamp",
        "what should we sell",
        "average of everything",
        "set the price of Desk Lamp to 1",
        "how are you",
    ]);
    // Customers and products hang together by orders and by reviews.
    assert!(db.understand("number of products per customer").is_err());
}

#[test]
fn says_why_it_declines() {
    let db = shop();
    let says = |question: &str| crate::say::declined(&db.understand(question).unwrap_err(), &db.schema);
    let text = says("which customers are unhappy");
    assert!(text.starts_with("I cannot read that question without a model. I know nothing here that is called \u{201c}unhappy\u{201d}."), "{text}");
    assert!(text.ends_with("The nearest tables: customers."), "{text}");
    let text = says("customers without orders");
    assert!(
        text.contains("I read nothing that says \u{201c}not\u{201d}"),
        "{text}"
    );
    let text = says("total orders by month");
    assert!(
        text.contains("it may be the total of orders for each month or the number of orders for each month"),
        "{text}"
    );
    let text = says("tell me a joke");
    assert!(
        text.ends_with("Tables: customers, order_items, orders, products, reviews."),
        "{text}"
    );
}

#[test]
fn what_it_offers_it_can_read() {
    for db in [
        Some(shop()),
        super::database::chinook(),
        super::database::northwind(),
    ]
    .into_iter()
    .flatten()
    {
        for table in db.schema.tables.iter().filter(|table| !table.view) {
            let near = vec![table.name.clone()];
            let text = crate::say::declined(
                &crate::understand::Unread {
                    near,
                    ..Default::default()
                },
                &db.schema,
            );
            for example in text.split('\u{201c}').skip(1) {
                let example = example.split('\u{201d}').next().unwrap();
                db.ask(example);
            }
        }
    }
}
